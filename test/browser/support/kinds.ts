import { setTimeout } from "node:timers/promises";
import * as v from "valibot";
import { defineKind, TaskError } from "../../../src/kinds/define-kind.ts";
import type { TaskContext } from "../../../src/kinds/define-kind.ts";

/** What would run, were any text taken for a page: each says so in the title that the test looks at. */
export const ATTACKS = [
  `<img src=x onerror="document.title='attacked'">`,
  `<script>document.title='attacked'</script>`,
  `"><svg onload="document.title='attacked'">`,
  `javascript:document.title='attacked'`,
  `{{constructor.constructor("document.title='attacked'")()}}`,
] as const;

const [IMAGE, SCRIPT, VECTOR, LINK, TEMPLATE] = ATTACKS;

const whole = (fallback: number) => v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), fallback);

/** So many events of every sort: as fast as they are taken, or with a pause after each so many. */
export const loud = defineKind({
  name: "loud",
  params: v.strictObject({ events: whole(100), delay_ms: whole(0), burst: whole(1) }),
  async run({ params: { events, delay_ms: delayMs, burst }, signal, ...task }) {
    for (let number = 1; number <= events; number++) {
      signal.throwIfAborted();
      await emit(task, number, events);
      if (delayMs > 0 && number % burst === 0) await setTimeout(delayMs, undefined, { signal });
    }
    return { events };
  },
});

function emit(task: Pick<TaskContext, "progress" | "log" | "partial">, number: number, total: number): Promise<void> {
  switch (number % 10) {
    case 1:
      return task.progress("count", number, total);
    case 2:
      return task.partial("item", { number, nested: { list: [number, { deep: `deep ${number}` }] } });
    case 3:
      return task.log("WARN", `warning ${number}`);
    case 4:
      return task.log("ERROR", `error ${number}`);
    case 5:
      return task.log("DEBUG", `detail ${number}`);
    default:
      return task.log("INFO", `line ${number}`);
  }
}

/** Tells a text in so many parts, and its state between them. */
export const tokens = defineKind({
  name: "tokens",
  params: v.strictObject({ count: whole(1_000) }),
  async run({ params: { count }, ...task }) {
    for (let number = 1; number <= count; number++) {
      await task.partial("delta", { text: `t${number} ` }, { series: { name: "answer", mode: "append" } });
      if (number % 10 === 0) await task.partial("state", { number }, { series: { name: "state", mode: "latest" } });
    }
  },
});

/** Runs until it is cancelled. */
export const steady = defineKind({
  name: "steady",
  params: v.strictObject({ delay_ms: whole(100) }),
  async run({ params: { delay_ms: delayMs }, signal, ...task }) {
    for (let step = 1; ; step++) {
      await task.progress("beat", step % 1_000, 1_000);
      await setTimeout(delayMs, undefined, { signal });
    }
  },
});

/** Fails once, and then does not. */
export const flaky = defineKind({
  name: "flaky",
  params: v.strictObject({}),
  retry: { maxAttempts: 2, initialBackoffMs: 50 },
  async run({ attempt, ...task }) {
    await task.progress("try", attempt, 2);
    if (attempt === 1) throw new TaskError("NOT_YET", "the first attempt fails");
    return { attempt };
  },
});

/** Says in everything that a task can say what no page should take for its own. */
export const hostile = defineKind({
  name: "hostile",
  params: v.strictObject({ fails: v.boolean(), note: v.string() }),
  async run({ params: { fails }, ...task }) {
    await task.progress(IMAGE, 1, 2, { [SCRIPT]: VECTOR, link: LINK });
    for (const attack of ATTACKS) await task.log("ERROR", attack);
    await task.partial(SCRIPT, { [IMAGE]: [VECTOR, { [TEMPLATE]: LINK }] });
    if (fails) throw new TaskError("HOSTILE", ATTACKS.join("\n"), { details: { [IMAGE]: SCRIPT } });
    return { [SCRIPT]: IMAGE, link: LINK };
  },
});
