import { once } from "node:events";
import * as v from "valibot";
import { defineKind } from "../src/kinds/define-kind.ts";
import { machineMs } from "./clock.ts";
import { pace } from "./pace.ts";

// The tasks that the benchmark starts: `spool serve --kinds bench/kinds.ts`.

const events = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1_000_000));
const gate = v.string();

/** Emits so many events as fast as there is room for them. */
export const burst = defineKind({
  name: "bench-burst",
  params: v.strictObject({ events }),
  async run({ params, ...task }) {
    for (let step = 1; step <= params.events; step++) await task.progress("burst", step, params.events);
  },
});

const WORDS = "the task has read a part of its input and goes on with the next file of the folder".split(" ");

/** Emits so many events of one type, with texts that differ from one event to the next. */
export const texts = defineKind({
  name: "bench-texts",
  params: v.strictObject({ events, type: v.picklist(["progress", "log", "token"]) }),
  async run({ params: { events: total, type }, ...task }) {
    for (let step = 1; step <= total; step++) {
      // A fixed sequence without a visible pattern.
      const random = (Math.imul(step, 2_654_435_761) >>> 0) / 2 ** 32;
      const word = WORDS[Math.floor(random * WORDS.length)]!;
      if (type === "progress") await task.progress("import", step, total);
      else if (type === "token") await task.partial("token", { text: ` ${random.toString(36).slice(2, 6)}` });
      else
        await task.log("INFO", `imported part ${step} of ${word}-${Math.floor(random * 1_000)}.csv in ${step % 97} ms`);
    }
  },
});

/** Emits so many events, so many a second, each with the time at which it was emitted. */
export const paced = defineKind({
  name: "bench-paced",
  params: v.strictObject({ events, per_second: v.pipe(v.number(), v.minValue(1)) }),
  async run({ params: { events: total, per_second: perSecond }, ...task }) {
    for await (const step of pace({ total, perSecond })) {
      await task.progress("paced", step, total, { at: machineMs() });
    }
  },
});

/** The gates that gated tasks wait at, in this process as they are. */
const gates = new Map<string, PromiseWithResolvers<void>>();

function gateOf(name: string): PromiseWithResolvers<void> {
  const gate = gates.get(name) ?? Promise.withResolvers<void>();
  gates.set(name, gate);
  return gate;
}

/** As a burst, or so many events a second, once the gate is open: its followers are there before its events. */
export const gated = defineKind({
  name: "bench-gated",
  params: v.strictObject({ gate, events, per_second: v.optional(v.pipe(v.number(), v.minValue(1))) }),
  async run({ params, ...task }) {
    await Promise.race([gateOf(params.gate).promise, once(task.signal, "abort")]);
    task.signal.throwIfAborted();
    const { events: total, per_second: perSecond } = params;
    const emit = (step: number) => task.progress("burst", step, total);
    if (perSecond === undefined) for (let step = 1; step <= total; step++) await emit(step);
    else for await (const step of pace({ total, perSecond })) await emit(step);
  },
});

/** Opens a gate, for good. */
export const openGate = defineKind({
  name: "bench-open-gate",
  params: v.strictObject({ gate }),
  run: async ({ params }) => gateOf(params.gate).resolve(),
});
