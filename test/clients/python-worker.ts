import assert from "node:assert/strict";
import { join } from "node:path";
import { connect } from "../../src/client/client.ts";
import type { SpoolClient, SpoolEvent, StartRequest } from "../../src/client/client.ts";
import { startCutProxy } from "./cut-proxy.ts";
import { startProcess } from "../support/printing-process.ts";
import type { PrintingProcess } from "../support/printing-process.ts";

const EXAMPLE = join(import.meta.dirname, "..", "..", "examples", "worker-python");
const FOLLOWERS = join(import.meta.dirname, "followers.py");
const CONNECTED = /connected: session ([0-9a-f-]{36}), (new|resumed)/;
/** How long each thing that is checked here may take. */
const CHECK_MS = 60_000;
/** Longer than any check: what waits so long between two texts only goes on where it is told to stop. */
const DELAY_MS = 10 * CHECK_MS;

/**
 * Runs examples/worker-python: its worker runs tasks for a server, also over connections that are cut, and its caller
 * follows them.
 *
 * @param python has spooltape installed
 * @param address of a server whose cancel grace is longer than the test, so that only code that ends ends its task
 */
export async function pythonWorkerSession(address: string, python: string): Promise<void> {
  using spool = connect({ address });
  const run = (script: string, args: string[], environment: Record<string, string> = {}) =>
    startProcess(python, {
      args: ["-u", script, ...args],
      environment: { SPOOL_ADDRESS: address, ...environment },
    });
  const worker = async (environment: Record<string, string> = {}) => {
    const started = run(join(EXAMPLE, "worker.py"), [], environment);
    await started.next(CONNECTED);
    return started;
  };

  {
    await using running = await worker();
    await checkCancel(spool);
    await checkFailures(spool);
    await checkDrain(spool, running);
  }
  {
    await using proxy = await startCutProxy(address);
    const through = { SPOOL_ADDRESS: proxy.address };
    await using running = await worker(through);
    const params = { texts: textsOf(100), delay_ms: 10 };
    await using caller = run(join(EXAMPLE, "caller.py"), ["word-count", JSON.stringify(params)], through);
    const [, taskId] = await caller.next(/^task (.+)/);
    await using followers = run(FOLLOWERS, [taskId!], through);
    await checkCuts(running, caller, () => proxy.cut());
    await checkFollowers(followers);
  }
  {
    await using first = await worker({ WORKER_DRAIN_S: "0" });
    await checkHandover(spool, first, worker);
  }
}

async function checkCancel(spool: SpoolClient): Promise<void> {
  const tape = await open(spool, { kind: "word-count", params: { texts: ["a b", "c"], delay_ms: DELAY_MS } });
  await tape.until("checkpoint");
  await spool.cancel({ taskId: tape.taskId, reason: "enough" });
  await tape.end();
  assert.deepEqual(tape.outline, [
    "started 1",
    "count 1/2",
    "text",
    "checkpoint",
    "cancel_requested",
    "final cancelled",
  ]);
  console.log("python worker: a cancel reaches the code, and the task ends as cancelled");
}

async function checkFailures(spool: SpoolClient): Promise<void> {
  const retried = await open(spool, { kind: "print-page", maxAttempts: 2 });
  await retried.end();
  const attempt = (number: number) => [`started ${number}`, "log INFO", "log WARN"];
  assert.deepEqual(retried.outline, [...attempt(1), "retrying NO_PAPER", ...attempt(2), "final failed NO_PAPER"]);
  console.log("python worker: fails with a reason of its own, and is tried again");

  const closed = await open(spool, { kind: "print-page", maxAttempts: 2, params: { closed: true } });
  await closed.end();
  assert.deepEqual(closed.outline, [...attempt(1), "final failed NO_PAPER"]);
  console.log("python worker: is not tried again where it says that this is of no use");
}

async function checkDrain(spool: SpoolClient, worker: PrintingProcess): Promise<void> {
  const texts = textsOf(30);
  const tape = await open(spool, { kind: "word-count", params: { texts, delay_ms: 20 } });
  await tape.until("checkpoint");
  worker.signal("SIGTERM");
  assert.deepEqual((await tape.end()).result, { words: wordsOf(texts) });
  assert.deepEqual(tape.outline, ["started 1", ...counted(1, 30, 30), "final succeeded"]);
  assert.equal(await worker.ended, 0, worker.lines.join("\n"));
  const { sessions } = await spool.sessions();
  assert.deepEqual(
    sessions.filter(({ isWorker }) => isWorker),
    [],
  );
  console.log("python worker: lets its task end at a SIGTERM, leaves, and ends with 0");
}

/** The worker and the caller go through what is cut. */
async function checkCuts(worker: PrintingProcess, caller: PrintingProcess, cut: () => void): Promise<void> {
  for (const seq of [10, 100, 200]) {
    await caller.next(new RegExp(`^${seq} `));
    cut();
    assert.equal((await worker.next(CONNECTED))[2], "resumed");
  }
  assert.equal(await caller.ended, 0, caller.lines.join("\n"));
  const texts = textsOf(100);
  const lines = caller.lines.map((line) => /^(\d+) (\w+)/.exec(line)?.slice(1).join(" ") ?? line.replace(/ .*/, ""));
  const types = ["started", ...texts.flatMap(() => ["progress", "partial", "partial"]), "final"];
  assert.deepEqual(lines.slice(0, -1), ["task", ...types.map((type, index) => `${index + 1} ${type}`)]);
  const result = JSON.parse(caller.lines.at(-1)!) as { status: string; result: unknown };
  assert.deepEqual([result.status, result.result], ["succeeded", { words: wordsOf(texts) }]);
  const checkpoint = caller.lines.findLast((line) => line.includes('"checkpoint"'))!;
  assert.match(checkpoint, new RegExp(`"words": ${wordsOf(texts)}\\b`));
  console.log("python worker and caller: cut off three times, every event once, in order, and the right result");
}

/** Each way to follow the tape that was cut off three times. */
async function checkFollowers(followers: PrintingProcess): Promise<void> {
  assert.equal(await followers.ended, 0, followers.lines.join("\n"));
  const types = ["started", ...textsOf(100).flatMap(() => ["progress", "partial", "partial"]), "final"];
  const tape = types.map((type, index) => `${index + 1} ${type}`);
  for (const name of ["follow", "follow_tasks", "async_follow", "async_follow_tasks"]) {
    const own = followers.lines.filter((line) => line.startsWith(`${name} `));
    assert.deepEqual(
      own,
      tape.map((line) => `${name} ${line}`),
    );
  }
  for (const name of ["wait", "async_wait"]) assert.ok(followers.lines.includes(`${name} ${tape.at(-1)}`));
  console.log("python callers: cut off three times, every event once, in order, to final, in each way to follow");
}

async function checkHandover(
  spool: SpoolClient,
  first: PrintingProcess,
  startWorker: () => Promise<PrintingProcess>,
): Promise<void> {
  const tape = await open(spool, { kind: "word-count", params: { texts: ["a b", "c d e"], delay_ms: DELAY_MS } });
  await tape.until("checkpoint");
  first.signal("SIGTERM");
  assert.equal(await first.ended, 0, first.lines.join("\n"));
  await using _ = await startWorker();
  assert.deepEqual((await tape.end()).result, { words: 5 });
  const before = ["started 1", ...counted(1, 1, 2), "retrying SERVER_SHUTDOWN"];
  assert.deepEqual(tape.outline, [...before, "started 2", ...counted(2, 2, 2), "final succeeded"]);
  console.log("python worker: what one gives back at a SIGTERM goes on at another from its checkpoint");
}

/** Starts a task and reads along its tape. */
async function open(spool: SpoolClient, request: StartRequest) {
  const { taskId } = (await spool.start(request)).task;
  const outline: string[] = [];
  const events = spool.follow({ taskId }, { signal: AbortSignal.timeout(CHECK_MS) })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await events.next();
    assert.ok(done !== true, `the tape ended with ${outline.join(", ")}`);
    const event: SpoolEvent = value;
    outline.push(lineOf(event));
    assert.equal(event.seq, BigInt(outline.length));
    return event;
  };
  return {
    taskId,
    outline,
    async until(line: string) {
      do await next();
      while (outline.at(-1) !== line);
    },
    async end() {
      for (;;) {
        const event = await next();
        if (event.type !== "final") continue;
        assert.equal((await events.next()).done, true);
        return event;
      }
    },
  };
}

function lineOf(event: SpoolEvent): string {
  switch (event.type) {
    case "started":
      return `started ${event.attempt}`;
    case "progress":
      return `${event.phase} ${event.current}/${event.total}`;
    case "log":
      return `log ${event.level}`;
    case "partial":
      return event.kind;
    case "retrying":
      return `retrying ${event.error.reason}`;
    case "final":
      return ["final", event.status, event.status === "failed" ? event.error?.reason : undefined].join(" ").trim();
    default:
      return event.type;
  }
}

/** What the worker says of the texts from one to another. */
function counted(first: number, last: number, total: number): string[] {
  const numbers = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  return numbers.flatMap((number) => [`count ${number}/${total}`, "text", "checkpoint"]);
}

/** Texts of 0, 1, 2, … words. */
function textsOf(count: number): string[] {
  return Array.from({ length: count }, (_, index) => "word ".repeat(index));
}

function wordsOf(texts: readonly string[]): number {
  return texts.join(" ").split(" ").filter(Boolean).length;
}
