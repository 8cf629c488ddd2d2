import { setTimeout } from "node:timers/promises";
import type { SpoolClient } from "../../../src/client/client.ts";
import { isTerminal } from "../../../src/domain/task.ts";
import { inParallel } from "../../fault/support/scenario.ts";
import type { HistoryLine, Json } from "../history.ts";
import type { Recorder } from "../recorder.ts";
import { outcomeDigest, refusalOf, seenEvent } from "./seen-event.ts";

/** Of a namespace. */
const AT_ONCE = 4;
const WAIT_MS = 5_000;
const RETRY_MS = 200;
const PAGE = 1_000;

type Settled = Extract<HistoryLine, { type: "settled" }>;

/**
 * Waits until all these tasks of a namespace have ended, within a time, and writes what the service then says of each.
 *
 * @param client of the namespace, which retries
 */
export async function settleTasks(
  recorder: Recorder,
  {
    namespace,
    taskIds,
    client,
    endMsMax,
  }: { namespace: string; taskIds: readonly string[]; client: SpoolClient; endMsMax: number },
): Promise<void> {
  const deadline = recorder.now() + endMsMax;
  await inParallel({ total: taskIds.length, atOnce: AT_ONCE }, async (index) => {
    const taskId = taskIds[index]!;
    const line = { type: "settled", taskId, namespace } as const;
    try {
      await untilEnded(client, taskId, () => recorder.now() < deadline);
      recorder.write({ ...line, ...(await readTask(client, taskId)) });
    } catch (error) {
      recorder.write({ ...line, ...refusalOf(error) });
    }
  });
}

async function untilEnded(client: SpoolClient, taskId: string, mayWait: () => boolean): Promise<void> {
  for (;;) {
    const { events, status } = await client.events({ taskId, fromSeq: 2n ** 50n, limit: 1, waitMs: WAIT_MS });
    if (isTerminal(status) || !mayWait()) return;
    if (events.length === 0) await setTimeout(RETRY_MS);
  }
}

async function readTask(client: SpoolClient, taskId: string) {
  const { kind, requestId, status, attempt, lastSeq } = await client.get({ taskId });
  const events: Extract<Settled, { events: unknown }>["events"] = [];
  for (let fromSeq = 1n, hasMore = true; hasMore;) {
    const page = await client.events({ taskId, fromSeq, limit: PAGE });
    for (const event of page.events) {
      const body =
        event.type === "final" ? { body: JSON.parse(JSON.stringify({ ...event, seq: undefined })) as Json } : {};
      events.push({ ...seenEvent(event), ...body });
    }
    ({ nextFromSeq: fromSeq, hasMore } = page);
  }
  const result = isTerminal(status) ? outcomeDigest(await client.result({ taskId })) : null;
  return { kind, requestId, status, attempt, lastSeq: Number(lastSeq), events, result };
}
