import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import * as v from "valibot";
import { defineKind, TaskError } from "@spooltape/client";
import type { JsonObject } from "@spooltape/client";
import { runKind } from "@spooltape/client/testing";
import type { KindRun, RunControl } from "@spooltape/client/testing";
import { InvalidArgument } from "../../src/domain/errors.ts";
import { ATTEMPTS_MAX, PARAMS_BYTES_MAX, RESULT_BYTES_MAX } from "../../src/domain/limits.ts";

const HOUR_MS = 3_600_000;

/** Takes an hour for each step, and stores a checkpoint after it. */
const walk = defineKind({
  name: "walk",
  params: v.strictObject({ steps: v.number(), failAt: v.optional(v.number()) }),
  retry: { maxAttempts: 3, initialBackoffMs: HOUR_MS, maxBackoffMs: HOUR_MS, jitter: 0 },
  resumable: true,
  async run(task) {
    const { steps, failAt } = task.params;
    const done = (await task.lastCheckpoint())?.["done"] ?? 0;
    for (let step = Number(done) + 1; step <= steps; step++) {
      await sleep(HOUR_MS, undefined, { signal: task.signal });
      await task.progress("walk", step, steps);
      await task.partial("checkpoint", { done: step });
      if (step === failAt) throw new TaskError("TIRED", `after ${step}`);
    }
    return { steps };
  },
});

const typesOf = ({ events }: KindRun) => events.map(({ type }) => type);

describe("runKind", () => {
  it("returns the tape and the result of a task, as a server would", async () => {
    const run = await runKind(walk, { steps: 2 }, { clock: "skip" });
    assert.deepEqual([run.status, run.result, run.error, run.attempts], ["succeeded", { steps: 2 }, null, 1]);
    assert.deepEqual(typesOf(run), ["started", "progress", "partial", "progress", "partial", "final"]);
    assert.deepEqual(
      run.events.map(({ seq }) => seq),
      [1n, 2n, 3n, 4n, 5n, 6n],
    );
  });

  it("skips the waits of code and between attempts, and counts them on its clock", async () => {
    const begunAt = Date.now();
    const run = await runKind(walk, { steps: 2, failAt: 1 }, { clock: "skip" });
    assert.equal(run.status, "succeeded");
    const times = run.events.map(({ time }) => Math.round((time.getTime() - begunAt) / HOUR_MS));
    // An hour for the first step, an hour until the second attempt, and an hour for the second step.
    assert.deepEqual(times, [0, 1, 1, 1, 2, 3, 3, 3]);
    assert.deepEqual(typesOf(run).slice(3, 5), ["retrying", "started"]);
    assert.ok(Date.now() - begunAt < HOUR_MS, "the clock is real again");
  });

  it("fails when the attempts are used up, with what the code threw", async () => {
    const run = await runKind(walk, { steps: 1, failAt: 1 }, { clock: "skip", maxAttempts: 1 });
    assert.deepEqual([run.status, run.error], ["failed", { reason: "TIRED", message: "after 1" }]);
    assert.ok(run.thrown instanceof TaskError);
  });

  it("cancels the task at an event, while it runs and between two attempts", async () => {
    const at = (type: string) => (event: { type: string }, control: RunControl) => {
      if (event.type === type) control.cancel("enough");
    };
    const running = await runKind(walk, { steps: 9 }, { clock: "skip", onEvent: at("progress") });
    assert.deepEqual([running.status, running.error?.message], ["cancelled", "enough"]);
    assert.deepEqual(typesOf(running), ["started", "progress", "cancel_requested", "partial", "final"]);
    const waiting = await runKind(walk, { steps: 2, failAt: 1 }, { clock: "skip", onEvent: at("retrying") });
    assert.deepEqual(typesOf(waiting), ["started", "progress", "partial", "retrying", "final"]);
  });

  it("hands a resumable task over to another attempt, which continues at the checkpoint and does not count", async () => {
    const run = await runKind(
      walk,
      { steps: 3 },
      { clock: "skip", maxAttempts: 1, onEvent: (event, control) => event.seq === 3n && control.shutDown() },
    );
    assert.deepEqual([run.status, run.attempts], ["succeeded", 2]);
    assert.deepEqual(
      run.events.flatMap((event) => (event.type === "progress" ? [event.current] : [])),
      [1, 2, 3],
    );
  });

  it("gives the first attempt the checkpoint of the test", async () => {
    const run = await runKind(walk, { steps: 3 }, { clock: "skip", checkpoint: { done: 2 } });
    assert.deepEqual(typesOf(run), ["started", "progress", "partial", "final"]);
  });

  it("times out an attempt", async () => {
    const run = await runKind(
      walk,
      { steps: 3 },
      { clock: "skip", maxAttempts: 1, onEvent: (event, control) => event.type === "progress" && control.timeOut() },
    );
    assert.equal(run.error?.reason, "DEADLINE_EXCEEDED");
  });

  it("takes the task from code that ignores its signal, after the grace", async () => {
    let emittedLate: Promise<void> | undefined;
    const deaf = defineKind({
      name: "deaf",
      params: v.object({}),
      async run(task) {
        await task.progress("waiting");
        await sleep(24 * HOUR_MS);
        emittedLate = task.progress("late");
      },
    });
    const run = await runKind(
      deaf,
      {},
      { clock: "skip", graceMs: HOUR_MS, onEvent: (event, control) => event.seq === 2n && control.cancel() },
    );
    assert.deepEqual(typesOf(run), ["started", "progress", "cancel_requested", "final"]);
    assert.equal(emittedLate, undefined);
  });

  it("rejects params as a start does, and holds events and results to the bounds of a server", async () => {
    await assert.rejects(runKind(walk, { steps: "two" }), (error) => {
      assert.ok(error instanceof InvalidArgument);
      assert.equal(error.violations[0]?.field, "params.steps");
      return true;
    });
    const large = defineKind({
      name: "large",
      params: v.object({}),
      run: async () => ({ text: "x".repeat(RESULT_BYTES_MAX) }),
    });
    const run = await runKind(large);
    assert.equal(run.status, "failed");
    assert.match(run.error!.message, /^result: must be at most/);
  });

  it("rejects params, attempts and exclusive keys that a start would not take", async () => {
    const any = { name: "any", params: v.any(), run: async () => {} };
    const refusal = (field: string) => (error: unknown) =>
      error instanceof InvalidArgument && error.violations[0]?.field === field;
    const date = { at: new Date() } as unknown as JsonObject;
    await assert.rejects(runKind(defineKind(any), date), refusal("params.at"));
    await assert.rejects(runKind(defineKind(any), { a: "x".repeat(PARAMS_BYTES_MAX) }), refusal("params"));
    await assert.rejects(runKind(defineKind({ ...any, exclusive: () => "" })), refusal("params"));
    for (const maxAttempts of [0, 1.5, ATTEMPTS_MAX + 1]) {
      await assert.rejects(runKind(defineKind(any), {}, { maxAttempts }), refusal("max_attempts"));
    }
  });

  it("gives each attempt params and a checkpoint of its own", async () => {
    const changing = defineKind({
      name: "changing",
      params: v.custom<{ n: number }>(() => true),
      retry: { maxAttempts: 3 },
      async run(task) {
        const checkpoint = (await task.lastCheckpoint()) as { done: number };
        const seen = { n: task.params.n++, done: checkpoint.done++ };
        await task.partial("checkpoint", { done: 5 });
        if (task.attempt < 3) throw new Error("again");
        return seen;
      },
    });
    const given = { params: { n: 1 }, checkpoint: { done: 1 } };
    const { result, events } = await runKind(changing, given.params, { clock: "skip", checkpoint: given.checkpoint });
    assert.deepEqual(result, { n: 1, done: 5 });
    assert.deepEqual(given, { params: { n: 1 }, checkpoint: { done: 1 } });
    const stored = events.flatMap((event) => (event.type === "partial" ? [event.payload] : []));
    assert.deepEqual(stored, [{ done: 5 }, { done: 5 }, { done: 5 }]);
  });

  for (const type of ["started", "progress", "retrying", "final"]) {
    it(`rejects with what onEvent throws at ${type}, stops the code, and restores the clock`, async () => {
      const problem = new assert.AssertionError({ message: "not what the test expects" });
      const stops: unknown[] = [];
      const real = globalThis.setTimeout;
      const deaf = defineKind({
        name: "deaf",
        params: v.object({}),
        retry: { maxAttempts: 2 },
        async run({ signal, progress, attempt }) {
          signal.addEventListener("abort", () => stops.push((signal.reason as Error).name));
          await progress("begun").catch(() => {});
          if (type === "progress") await new Promise(() => {}); // Code that ignores its signal is not waited for.
          if (attempt === 1) throw new Error("again");
        },
      });
      const run = runKind(
        deaf,
        {},
        {
          clock: "skip",
          onEvent(event) {
            if (event.type === type) throw problem;
          },
        },
      );
      await assert.rejects(run, (error) => error === problem);
      assert.deepEqual(stops, type === "progress" ? ["AbortError"] : []);
      assert.equal(globalThis.setTimeout, real);
    });
  }

  it("lets code that skips time clear timers from before", async () => {
    const active = () => process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;
    const cleared: number[] = [];
    const timers = [setTimeout(() => {}, HOUR_MS), setInterval(() => {}, HOUR_MS)] as const;
    const run = async () => {
      const before = active();
      clearTimeout(timers[0]);
      clearInterval(timers[1]);
      cleared.push(before - active());
    };
    await runKind(defineKind({ name: "clearing", params: v.object({}), run }), {}, { clock: "skip" });
    assert.deepEqual(cleared, [2]);
  });

  it("runs on the real clock by default, and refuses two runs that skip time at once", async () => {
    const quick = defineKind({ name: "quick", params: v.object({}), run: () => sleep(1) });
    assert.equal((await runKind(quick)).status, "succeeded");
    const first = runKind(walk, { steps: 1 }, { clock: "skip" });
    await assert.rejects(runKind(walk, { steps: 1 }, { clock: "skip" }), /clock: "skip" is in use/);
    await first;
  });
});
