import assert from "node:assert/strict";
import { bodyOf, newEvent } from "../../../src/domain/event.ts";
import type { TapeEvent } from "../../../src/domain/event.ts";
import type { TaskContext } from "../../../src/domain/kind.ts";
import { FOLDED_PAGE_RECORDED_MAX, PAGE_EVENTS_MAX } from "../../../src/domain/limits.ts";
import type { TapePage } from "../../../src/engine/api/task-engine.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { foldPage, foldPages } from "../../../src/engine/read/folded-pages.ts";
import { kindOf, start, wholeTape } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import { numbered, readTape } from "../../support/series-tapes.ts";
import { describeHeavyOnEachStore } from "../../support/stores.ts";

const NEVER = new AbortController().signal;
const HEARTBEAT_MS = 60_000;
const DELTAS = 3_000;
/** Usually 3. A slow machine sends what it has collected after FOLDED_PAGE_MS_MAX. */
const FEW = 30;

const token = (task: TaskContext, number: number) =>
  task.partial("delta", { text: `t${number} ` }, { series: { name: "answer", mode: "append" } });

/** A kind that emits many tokens, one more when it is told to, and ends when it is told to. */
function teller() {
  const entered = Promise.withResolvers<TaskContext>();
  const done = Promise.withResolvers<void>();
  const kind = kindOf("teller", async (task) => {
    for (let number = 0; number < DELTAS; number++) await token(task, number);
    await task.flush();
    entered.resolve(task);
    await done.promise;
  });
  return { kind, entered: entered.promise, end: () => done.resolve() };
}

async function* following(engine: Engine, taskId: string, fromSeq = 1n): AsyncGenerator<TapeEvent> {
  const query = { taskId, fromSeq, heartbeatMs: HEARTBEAT_MS, view: "folded" as const };
  for await (const page of engine.followTape(query, NEVER)) {
    if (page.events.length > 0) assert.equal(page.nextFromSeq, page.events.at(-1)!.seq + 1n);
    yield* page.events;
  }
}

const types = (events: readonly TapeEvent[]) => events.map(({ type }) => type);

describeHeavyOnEachStore("the folded view", (store) => {
  it("gives a late follower few events, then each event at once, and the same text", async () => {
    const { kind, entered, end } = teller();
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await start(engine, { kind: "teller" });
    const task = await entered;
    const follower = following(engine, taskId);
    const seen: TapeEvent[] = [];
    while ((seen.at(-1)?.seq ?? 0n) <= BigInt(DELTAS)) seen.push((await follower.next()).value as TapeEvent);
    assert.deepEqual(types(seen.slice(0, 2)), ["started", "folded"]);
    assert.ok(seen.length <= FEW, `${seen.length} events`);
    for (let number = DELTAS; number < DELTAS + 3; number++) {
      const next = follower.next();
      await token(task, number);
      const { value } = await next;
      assert.equal((value as TapeEvent).type, "partial"); // A run of one event is that event.
      seen.push(value as TapeEvent);
    }
    end();
    seen.push(...(await Array.fromAsync(follower)));
    assert.deepEqual(readTape(seen), readTape(await wholeTape(engine, taskId)));
  });

  it("resumes at any seq of a finished tape, in pages and streams", async () => {
    const { kind, end } = teller();
    end();
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await start(engine, { kind: "teller" });
    const tape = await wholeTape(engine, taskId);
    for (const fromSeq of [1n, 1_001n, 2_002n, 3_002n]) {
      const rest = readTape(tape.slice(Number(fromSeq) - 1));
      assert.deepEqual(readTape(await Array.fromAsync(following(engine, taskId, fromSeq))), rest);
      for (const limit of [1, 100]) {
        const events: TapeEvent[] = [];
        for (let next = fromSeq, hasMore = true; hasMore;) {
          const query = { taskId, fromSeq: next, limit, waitMs: 0, view: "folded" as const };
          const page = await engine.readEvents(query, NEVER);
          assert.ok(page.events.length >= 1 && page.events.length <= limit);
          assert.equal(page.nextFromSeq, page.events.at(-1)!.seq + 1n);
          events.push(...page.events);
          [next, hasMore] = [page.nextFromSeq, page.hasMore];
        }
        assert.deepEqual(readTape(events), rest);
        assert.ok(events.length <= FEW, `${events.length} events from ${fromSeq}`);
      }
    }
  });
});

const delta = newEvent("partial", {
  kind: "delta",
  payload: { text: "t" },
  series: { name: "answer", mode: "append", field: "text" },
});
const log = newEvent("log", { level: "INFO", message: "between" });

/** The pages of a running task's tape, as a follower gets them. */
function pagesOf(tape: readonly TapeEvent[], size = PAGE_EVENTS_MAX): TapePage[] {
  const lastSeq = BigInt(tape.length);
  return Array.from({ length: Math.ceil(tape.length / size) }, (_, index): TapePage => {
    const events = tape.slice(index * size, (index + 1) * size);
    const nextFromSeq = events.at(-1)!.seq + 1n;
    return { taskId: "t", status: "running", events, nextFromSeq, lastSeq, hasMore: nextFromSeq <= lastSeq };
  });
}

async function* each(pages: readonly TapePage[]): AsyncGenerator<TapePage> {
  yield* pages;
}

describe("the pages of the folded view", () => {
  it("are the recorded pages where nothing folds, so that followers share them", async () => {
    const pages = pagesOf(numbered(Array.from({ length: 2_500 }, () => log)));
    const yielded = await Array.fromAsync(foldPages(each(pages)));
    assert.equal(yielded.length, 3);
    yielded.forEach((page, index) => assert.equal(page, pages[index]));
  });

  it("cover at most the bound of recorded events, and join what is stored", async () => {
    const tape = numbered(Array.from({ length: FOLDED_PAGE_RECORDED_MAX + 1_001 }, () => delta));
    const pages = await Array.fromAsync(foldPages(each(pagesOf(tape))));
    const folded = pages.flatMap(({ events }) => events);
    assert.deepEqual(readTape(folded), readTape(tape));
    assert.ok(pages.every(({ nextFromSeq, events }) => nextFromSeq - BigInt(events[0]!.seq) <= 20_000n));
    assert.equal(folded.length, pages.length);
    assert.equal(pages.at(-1)!.hasMore, false);
  });

  it("have at most as many events as a recorded page, and continue after them", async () => {
    const tape = numbered(Array.from({ length: 2_999 }, (_, index) => (index % 2 === 0 ? delta : log)));
    const pages = await Array.fromAsync(foldPages(each(pagesOf(tape))));
    assert.deepEqual(
      pages.flatMap(({ events }) => events),
      tape,
    );
    assert.ok(pages.every(({ events }) => events.length <= PAGE_EVENTS_MAX));
  });

  it("are sent at the live end without a wait for more", async () => {
    const tape = numbered([delta, delta, delta]);
    const live = async function* () {
      yield* pagesOf(tape);
      await new Promise<never>(() => {}); // No more events come.
    };
    const { value } = await foldPages(live()).next();
    assert.deepEqual(types((value as TapePage).events), ["folded"]);
  });

  it("stop at the limit of a page: the event after it is not covered", async () => {
    const tape = numbered([delta, delta, log, delta, delta, delta, log]);
    const read = async (fromSeq: bigint) => pagesOf(tape)[0]!.events.slice(Number(fromSeq) - 1);
    for (const [limit, nextFromSeq, covered] of [
      [1, 3n, ["folded"]],
      [2, 4n, ["folded", "log"]],
      [3, 7n, ["folded", "log", "folded"]],
      [4, 8n, ["folded", "log", "folded", "log"]],
    ] as const) {
      const page = await foldPage(pagesOf(tape, limit)[0]!, limit, async (fromSeq) => {
        const events = await read(fromSeq);
        return { ...pagesOf(tape)[0]!, events };
      });
      assert.deepEqual([page.nextFromSeq, types(page.events), page.hasMore], [nextFromSeq, covered, nextFromSeq < 8n]);
    }
  });

  it("show a payload exactly as recorded", async () => {
    const body = '{"kind":"state","payload":{"zero":-0,"big":1e308},"series":{"name":"s","mode":"latest"}}';
    const state = { type: "partial" as const, body };
    const [page] = await Array.fromAsync(foldPages(each(pagesOf(numbered([state, state])))));
    const [part] = bodyOf({ ...page!.events[0]!, type: "folded" }).parts;
    assert.ok(Object.is(part!.partial.payload["zero"], -0));
  });
});
