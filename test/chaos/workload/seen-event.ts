import { hash } from "node:crypto";
import { SpoolRpcError } from "../../../src/client/client.ts";
import type { FinalEvent, SpoolEvent, TaskResult } from "../../../src/client/client.ts";
import type { PartialEvent } from "../../../src/client/types.ts";
import { canonicalJson } from "../../../src/domain/canonical-json.ts";
import type { JsonValue } from "../../../src/domain/json.ts";
import type { FoldedPart, Refusal, SeenEvent, SeriesPart } from "../history.ts";

const DIGEST_CHARS = 16;

/** Returns a short hash of a value, the same for equal values, whatever the order of their keys. */
export function digest(value: unknown): string {
  const json = JSON.parse(JSON.stringify(value ?? null)) as JsonValue;
  return hash("sha256", canonicalJson(json)).slice(0, DIGEST_CHARS);
}

/** Returns what the history says of an event. */
export function seenEvent(event: SpoolEvent): SeenEvent {
  if (event.type === "folded") {
    const parts = event.parts.map((part): FoldedPart => ({
      ...seriesPart(part),
      count: part.count,
      firstSeq: Number(part.firstSeq),
      lastSeq: Number(part.lastSeq),
    }));
    const places = { seq: Number(event.firstSeq), coversTo: Number(event.seq) };
    return { ...places, type: event.type, digest: digest({ time: event.time, parts }), parts };
  }
  const { seq, type, ...body } = event;
  const seen: SeenEvent = { seq: Number(seq), type, digest: digest(body) };
  if (event.type === "started") seen.attempt = event.attempt;
  if (event.type === "progress") {
    const attempt = event.detail?.["attempt"];
    if (typeof attempt === "number") seen.attempt = attempt;
  }
  if (event.type === "partial" && event.series !== undefined)
    seen.series = seriesPart({ ...event, series: event.series });
  if (event.type === "final") {
    seen.status = event.status;
    seen.outcome = outcomeDigest(event);
  }
  return seen;
}

function seriesPart({
  kind,
  payload,
  series,
}: Pick<PartialEvent, "kind" | "payload"> & Required<Pick<PartialEvent, "series">>): SeriesPart {
  const { name, mode } = series;
  if (series.mode === "append") return { kind, name, mode, text: payload[series.field!] as string };
  return { kind, name, mode, payload: digest(payload) };
}

/** Returns the hash of how a task ended, the same for its `final` and for its result. */
export function outcomeDigest({ status, result, error }: FinalEvent | TaskResult): string {
  return digest({ status, result, error });
}

/** Returns what the history says of the error of a call. @throws an error that is none of a call */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof SpoolRpcError) {
    const { code, reason = null, message } = error;
    return { code, reason, message, isLocal: reason === null && isOfLibrary(error) };
  }
  // The caller has lost its patience, or was told to leave.
  if (error instanceof DOMException) {
    const code = error.name === "TimeoutError" ? "DEADLINE_EXCEEDED" : "CANCELLED";
    return { code, reason: null, message: error.message, isLocal: true };
  }
  throw error;
}

/** Whether no server sent the error. The errors that grpc-js makes by itself have no metadata. */
function isOfLibrary({ code, cause }: SpoolRpcError): boolean {
  const { metadata } = (cause ?? {}) as { metadata?: { getMap(): object } };
  return metadata === undefined ? code === "UNAVAILABLE" : Object.keys(metadata.getMap()).length === 0;
}
