import type { Figure, Measure } from "../measure.ts";
import { quantile } from "../statistics.ts";
import { busyDay } from "./busy-day.ts";
import type { DayPart } from "./busy-day.ts";

const MINUTES = 2;
const BAR = { atLeast: 0.9 };
const DAYS = ["free", "held"] as const;
type Which = (typeof DAYS)[number];

export const heldTransaction: Measure = {
  name: "held-transaction",
  about:
    "two busy days at once, of two servers each that remove ended tasks, and beside one of them a transaction that is " +
    "open all day; see --minutes",
  only: "heavy",
  roundsMax: 1,
  figures: [...figuresOf("free"), ...figuresOf("held")],
  async prepare(servers, size, { minutes = MINUTES }) {
    const lasting = size(minutes * 1_000) / 1_000;
    return {
      async run() {
        // At once, so that both days have the same share of the machine, however fast it is at a time.
        const days = await Promise.all(
          DAYS.map(async (which) => {
            const day = { name: `day-${which}`, minutes: lasting, isHeld: which === "held" };
            return figuresFrom(which, await busyDay(servers, day));
          }),
        );
        return Object.assign({}, ...days) as Record<string, number>;
      },
      close() {},
    };
  },
};

function figuresOf(which: Which): Figure[] {
  const how = which === "free" ? "with no other transaction" : "beside a transaction that is open since the beginning";
  const beside = (name: string): NonNullable<Figure["comparisons"]> => {
    if (which === "free") return [];
    const isRate = name.startsWith("tasks") || name.startsWith("events");
    return [{ with: `day-free-${name}`, ...(isRate && { bar: BAR }) }];
  };
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
