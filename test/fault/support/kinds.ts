import { existsSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import * as v from "valibot";
import { SpoolError } from "../../../src/domain/errors.ts";
import { defineKind, TaskError } from "../../../src/kinds/define-kind.ts";

// What the server processes of the fault scenarios run: `spool serve --kinds test/fault/support/kinds.ts`. Each event
// carries its step, and a result says how many there were, so that a checker can tell what should be on the tape.

const events = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(10_000));
const ms = v.pipe(v.number(), v.minValue(0), v.maxValue(120_000));

/** Emits so many events, one in so many milliseconds; 0: as fast as there is room. */
export const steps = defineKind({
  name: "fault-steps",
  params: v.strictObject({ events, every_ms: ms }),
  async run({ params: { events: total, every_ms: everyMs }, signal, ...task }) {
    for (let step = 1; step <= total; step++) {
      await task.progress("steps", step, total, { step });
      if (everyMs > 0) await setTimeout(everyMs, undefined, { signal });
    }
    return { emitted: total };
  },
});

/** Throws in its first attempts, after some events. */
export const flaky = defineKind({
  name: "fault-flaky",
  params: v.strictObject({ events, failing_attempts: v.pipe(v.number(), v.integer(), v.minValue(0)) }),
  async run({ params: { events: total, failing_attempts: failing }, ...task }) {
    for (let step = 1; step <= total; step++) await task.progress("flaky", step, total, { step });
    if (task.attempt <= failing) throw new TaskError("NOT_YET", `attempt ${task.attempt} fails`);
    return { emitted: total };
  },
});

/** One at a time for each key. */
export const exclusive = defineKind({
  name: "fault-exclusive",
  params: v.strictObject({ key: v.string(), events, every_ms: ms }),
  exclusive: ({ key }) => key,
  async run({ params: { events: total, every_ms: everyMs }, signal, ...task }) {
    for (let step = 1; step <= total; step++) {
      await task.progress("exclusive", step, total, { step });
      await setTimeout(everyMs, undefined, { signal });
    }
    return { emitted: total };
  },
});

/** Emits on and on whatever its signal says, and writes down the reason when an event is refused, which ends it. */
export const stubborn = defineKind({
  name: "fault-stubborn",
  params: v.strictObject({ for_ms: ms, refused_file: v.string() }),
  async run({ params: { for_ms: forMs, refused_file: file }, ...task }) {
    const until = performance.now() + forMs;
    for (let step = 1; performance.now() < until; step++) {
      try {
        await task.progress("stubborn", step, 0, { step });
      } catch (error) {
        const reason = error instanceof SpoolError ? error.reason : String(error);
        await appendFile(file, `${JSON.stringify({ attempt: task.attempt, step, reason })}\n`);
        return;
      }
      await setTimeout(20);
    }
  },
});

const lastingParams = v.strictObject({ every_ms: ms, until_file: v.string() });

/** Emits a step in so many milliseconds until there is a file: as long as its scenario wants. Begins anew when retried. */
export const lasting = defineKind({
  name: "fault-lasting",
  params: lastingParams,
  async run({ params: { every_ms: everyMs, until_file: file }, signal, ...task }) {
    let step = 0;
    for (; !existsSync(file); await setTimeout(everyMs, undefined, { signal })) {
      await task.progress("lasting", ++step, 0, { step, pid: process.pid });
    }
    return { emitted: step };
  },
});

/** As `lasting`, and goes on where it was stopped. */
export const resumable = defineKind({
  name: "fault-resumable",
  params: lastingParams,
  resumable: true,
  async run({ params: { every_ms: everyMs, until_file: file }, signal, ...task }) {
    let step = Number((await task.lastCheckpoint())?.["step"] ?? 0);
    for (; !existsSync(file); await setTimeout(everyMs, undefined, { signal }).catch(() => {})) {
      if (signal.aborted) {
        await task.partial("checkpoint", { step });
        await task.flush();
        throw signal.reason;
      }
      await task.progress("resumable", ++step, 0, { step, pid: process.pid });
    }
    return { emitted: step };
  },
});
