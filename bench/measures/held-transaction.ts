import type { Figure, Measure } from "../measure.ts";
import { quantile } from "../statistics.ts";
import { busyDay } from "./busy-day.ts";
import type { DayPart } from "./busy-day.ts";

const MINUTES = 2;
const BAR = { atLeast: 0.9 };

export const heldTransaction: Measure = {
  name: "held-transaction",
  about:
    "a busy day of two servers that remove ended tasks, without and with a transaction that is open all day; see --minutes",
  only: "heavy",
  roundsMax: 1,
  figures: [...figuresOf("free"), ...figuresOf("held")],
  async prepare(servers, size, { minutes = MINUTES }) {
    const lasting = size(minutes * 1_000) / 1_000;
    return {
      async run() {
        const outcome: Record<string, number> = {};
        for (const which of ["free", "held"] as const) {
          const parts = await busyDay(servers, { name: `day-${which}`, minutes: lasting, isHeld: which === "held" });
          Object.assign(outcome, figuresFrom(which, parts));
        }
        return outcome;
      },
      close() {},
    };
  },
};

type Which = "free" | "held";

function figuresOf(which: Which): Figure[] {
  const how = which === "free" ? "with no other transaction" : "beside a transaction that is open since the beginning";
  const beside = (name: string) => (which === "free" ? [] : [{ with: `day-free-${name}` }]);
  const figure = (name: string, unit: string, about: string, comparisons: Figure["comparisons"] = []): Figure => ({
    name: `day-${which}-${name}`,
    unit,
    about: `${about}, ${how}`,
    comparisons: [...comparisons, ...beside(name)],
  });
  return [
    figure("tasks-first", "tasks/s", "tasks in the first fifth of a day"),
    figure("tasks-last", "tasks/s", "tasks in the last fifth of a day", [
      { with: `day-${which}-tasks-first`, bar: BAR },
    ]),
    figure("events-first", "events/s", "events in the first fifth of a day"),
    figure("events-last", "events/s", "events in the last fifth of a day", [
      { with: `day-${which}-events-first`, bar: BAR },
    ]),
    figure("start-p50", "ms", "StartTask in the last fifth of a day, p50"),
    figure("start-p99", "ms", "the same, p99"),
    figure("claim-p50", "ms", "from when a task is due to its first attempt, at the end of a day, p50"),
    figure("claim-p99", "ms", "the same, p99"),
  ];
}

function figuresFrom(which: Which, parts: readonly DayPart[]): Record<string, number> {
  const [first, last] = [parts[0]!, parts.at(-1)!];
  const figures = {
    "tasks-first": first.tasksPerSecond,
    "tasks-last": last.tasksPerSecond,
    "events-first": first.eventsPerSecond,
    "events-last": last.eventsPerSecond,
    "start-p50": quantile(last.startMs, 0.5),
    "start-p99": quantile(last.startMs, 0.99),
    "claim-p50": quantile(last.claimMs, 0.5),
    "claim-p99": quantile(last.claimMs, 0.99),
  };
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [`day-${which}-${name}`, value]));
}
