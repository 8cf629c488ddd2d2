// The part of @spooltape/client/testing that a new project uses, from the sources of this checkout.

import { runAttempt } from "../../../../src/domain/attempt.ts";
import type { EventSink } from "../../../../src/domain/attempt.ts";
import type { Kind } from "../../../../src/kinds/define-kind.ts";
import type { JsonObject } from "../../../../src/domain/json.ts";

/** Runs the code of a kind once. @returns the events that it emitted and its result @throws Error if it failed */
export async function runKind(
  kind: Kind,
  params: JsonObject,
): Promise<{ events: readonly { readonly type: string }[]; result: JsonObject }> {
  const events: { type: string }[] = [];
  const sink: EventSink = {
    async emit(type, body) {
      events.push({ type, ...body });
    },
    async flush() {},
  };
  const task = { taskId: "00000000-0000-7000-8000-000000000000", attempt: 1, params };
  const parts = { kind, task, sink, lastCheckpoint: async () => null, traceparent: null };
  const outcome = await runAttempt(parts, new AbortController().signal, () => {});
  if (outcome.type !== "returned") throw new Error(outcome.failure.message);
  return { events, result: outcome.result };
}
