import { create } from "@bufbuild/protobuf";
import type { EventBodies } from "../domain/event.ts";
import { mergedPayload } from "../domain/series.ts";
import type { FoldedBody, FoldedPartBody } from "../domain/series.ts";
import { FoldedPartialSchema, FoldedSchema, PartialSchema } from "../gen/spool/v1/event_pb.ts";
import type { Folded, FoldedPartial, Partial$ as PartialMessage } from "../gen/spool/v1/event_pb.ts";
import type { FoldedEvent, FoldedPart, PartialOfTask } from "./event-types.ts";
import { brokenPromise } from "./rpc-error.ts";
import { fromSeriesMessage, toSeriesMessage } from "./series.ts";

export function toPartialMessage({ kind, payload, series }: EventBodies["partial"]): PartialMessage {
  return create(PartialSchema, { kind, payload, ...(series && { series: toSeriesMessage(series) }) });
}

export function fromPartialMessage({ kind, payload = {}, series }: PartialMessage): PartialOfTask {
  return { kind, payload, ...(series && { series: fromSeriesMessage(series) }) };
}

export function toFoldedMessage({ first_seq: firstSeq, parts }: FoldedBody): Folded {
  return create(FoldedSchema, { firstSeq: BigInt(firstSeq), parts: parts.map(toPartMessage) });
}

/** @throws SpoolRpcError (DATA_LOSS) if a part has no series */
export function fromFoldedMessage({ firstSeq, parts }: Folded): Pick<FoldedEvent, "firstSeq" | "parts"> {
  return { firstSeq, parts: parts.map(fromPartMessage) };
}

function toPartMessage(part: FoldedPartBody): FoldedPartial {
  return create(FoldedPartialSchema, {
    partial: toPartialMessage({ ...part.partial, payload: mergedPayload(part) }),
    count: BigInt(part.count),
    firstSeq: BigInt(part.first_seq),
    lastSeq: BigInt(part.last_seq),
  });
}

function fromPartMessage({ partial = create(PartialSchema), count, firstSeq, lastSeq }: FoldedPartial): FoldedPart {
  const { series, ...rest } = fromPartialMessage(partial);
  if (series === undefined) throw brokenPromise("a folded event has a part without a series");
  return { ...rest, series, count: Number(count), firstSeq, lastSeq };
}
