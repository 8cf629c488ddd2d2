import assert from "node:assert/strict";
import type { JsonObject } from "../../src/domain/json.ts";
import type { TaskContext } from "../../src/domain/kind.ts";
import type { Endpoint, EndpointEvent } from "./endpoint.ts";
import { assertGapless, collect, wholeTape } from "./tape-contract.ts";

const WORDS = ["To", "ky", "o", " ", "東京", "\n", "😀", "", "end"];
const ANSWER = { name: "answer", mode: "append", field: "text" } as const;
const STATE = { name: "state", mode: "latest" } as const;

/** Emits a text in parts between states of a counter, a log line, and the text again, then a partial of mode `all`. */
async function tell(task: TaskContext<unknown>): Promise<void> {
  for (const [index, text] of WORDS.entries()) {
    await task.partial("delta", { index, text }, { series: { name: "answer", mode: "append" } });
    if (index % 3 === 0) await task.partial("count", { index }, { series: STATE });
  }
  await task.log("INFO", "half");
  for (const text of WORDS) await task.partial("delta", { text }, { series: ANSWER });
  await task.partial("found", { id: 1 }, { series: { name: "found", mode: "all" } });
  await task.partial("delta", { text: "alone" }, { series: ANSWER });
}

/** What docs/guarantees.md promises of series and the folded view, at every endpoint. */
export function seriesContract(endpoint: () => Endpoint): void {
  const told = async (): Promise<string> => {
    const actor = endpoint().stage.actor();
    const { task } = await endpoint().start({ kind: "stage", params: actor.params });
    await tell(await actor.enter());
    actor.leave();
    await endpoint().result({ taskId: task.taskId, waitMs: 10_000 });
    return task.taskId;
  };

  it("a partial keeps its series, and the recorded view has every event", async () => {
    const taskId = await told();
    const tape = await collect(endpoint().follow({ taskId, view: "recorded" }));
    assertGapless(tape);
    assert.deepEqual(tape[1]!.body, { kind: "delta", payload: { index: 0, text: "To" }, series: ANSWER });
    assert.deepEqual(tape[2]!.body, { kind: "count", payload: { index: 0 }, series: STATE });
    assert.deepEqual(await collect(endpoint().follow({ taskId })), tape);
    assert.deepEqual(await wholeTape(endpoint(), taskId), tape);
  });

  it("the folded view has one event for each run of series, with the text and the last payload", async () => {
    const taskId = await told();
    const view = await collect(endpoint().follow({ taskId, view: "folded" }));
    const text = WORDS.join("");
    const answer = { kind: "delta", series: ANSWER };
    assert.deepEqual(view.slice(1), [
      {
        seq: 13n,
        type: "folded",
        body: {
          first_seq: "2",
          parts: [
            { ...answer, payload: { index: 8, text }, count: 9, first_seq: "2", last_seq: "13" },
            { kind: "count", series: STATE, payload: { index: 6 }, count: 3, first_seq: "3", last_seq: "11" },
          ],
        },
      },
      { seq: 14n, type: "log", body: { level: "INFO", message: "half" } },
      {
        seq: 23n,
        type: "folded",
        body: {
          first_seq: "15",
          parts: [{ ...answer, payload: { text }, count: 9, first_seq: "15", last_seq: "23" }],
        },
      },
      {
        seq: 24n,
        type: "partial",
        body: { kind: "found", payload: { id: 1 }, series: { name: "found", mode: "all" } },
      },
      { seq: 25n, type: "partial", body: { ...answer, payload: { text: "alone" } } },
      { seq: 26n, type: "final", body: { status: "succeeded", result: {} } },
    ]);
    const page = await endpoint().events({ taskId, view: "folded" });
    assert.deepEqual(page.events, view);
    assert.deepEqual([page.nextFromSeq, page.lastSeq, page.hasMore, page.status], [27n, 26n, false, "succeeded"]);
  });

  it("a reader of the folded view resumes at any seq and gets the rest of each text", async () => {
    const taskId = await told();
    const tape = await collect(endpoint().follow({ taskId }));
    for (let fromSeq = 1n; fromSeq <= 27n; fromSeq++) {
      const rest = textOf(tape.slice(Number(fromSeq) - 1));
      assert.deepEqual(textOf(await collect(endpoint().follow({ taskId, fromSeq, view: "folded" }))), rest);
    }
  });

  it("pages of the folded view cover each seq once, whatever their limit", async () => {
    const taskId = await told();
    const whole = textOf(await collect(endpoint().follow({ taskId })));
    for (const limit of [1, 2, 3]) {
      const events: EndpointEvent[] = [];
      for (let fromSeq = 1n, hasMore = true; hasMore;) {
        const page = await endpoint().events({ taskId, fromSeq, limit, view: "folded" });
        assert.ok(page.events.length <= limit);
        events.push(...page.events);
        [fromSeq, hasMore] = [page.nextFromSeq, page.hasMore];
      }
      assert.equal(events.length, 7);
      assert.deepEqual(textOf(events), whole);
    }
  });

  it("a follower of the folded view receives events while the task runs, without a wait for more", async () => {
    const actor = endpoint().stage.actor();
    const { task } = await endpoint().start({ kind: "stage", params: actor.params });
    const running = await actor.enter();
    const follower = endpoint().follow({ taskId: task.taskId, view: "folded" })[Symbol.asyncIterator]();
    await follower.next();
    let text = "";
    for (const word of ["a", "b", "c"]) {
      await running.partial("delta", { text: word }, { series: ANSWER });
      const { value } = await follower.next();
      text += textOf([value as EndpointEvent]).text;
    }
    actor.leave();
    assert.equal(text, "abc");
    const rest = await Array.fromAsync({ [Symbol.asyncIterator]: () => follower });
    assert.deepEqual(
      rest.map(({ type }) => type),
      ["final"],
    );
  });
}

/** Returns the text of the series, and the seqs that the events cover. */
function textOf(events: readonly EndpointEvent[]): { text: string; seqs: bigint[] } {
  const covered: bigint[] = [];
  let text = "";
  for (const { seq, type, body } of events) {
    const first = type === "folded" ? BigInt(body["first_seq"] as string) : seq;
    for (let at = first; at <= seq; at++) covered.push(at);
    const parts = type === "folded" ? (body["parts"] as JsonObject[]) : type === "partial" ? [body] : [];
    for (const { kind, payload } of parts) if (kind === "delta") text += (payload as { text: string }).text;
  }
  return { text, seqs: covered };
}
