import type { SpoolClient } from "../../src/client/client.ts";
import { burst } from "../kinds.ts";
import { runBurst } from "../measures/tapes.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;
const SHORT_EVENTS = 10;
const LONG_EVENTS = 5_000;

/** Work that a client does again and again. */
interface WorkPlan {
  /** What is counted, and how much of it one turn does. */
  counted: string;
  each: number;
  /** How many turns are under way at once, by default. */
  atOnce: number;
  about: string;
  turn(client: SpoolClient): Promise<unknown>;
}

export const WORKS = {
  "short-task": {
    counted: "tasks",
    each: 1,
    atOnce: 64,
    about: `start a task that emits ${SHORT_EVENTS} events and follow it to its end, 64 at once`,
    turn: (client) => runBurst(client, SHORT_EVENTS),
  },
  event: {
    counted: "events",
    each: LONG_EVENTS,
    atOnce: 16,
    about: `an event of a task that emits ${LONG_EVENTS.toLocaleString("en")} and is followed, 16 tasks at once`,
    turn: (client) => runBurst(client, LONG_EVENTS),
  },
  start: {
    counted: "starts",
    each: 1,
    atOnce: 64,
    about: "start a task that is stored and waits for its time, 64 calls at once",
    turn: (client) => client.start({ kind: burst.name, params: { events: 0 }, runAt: new Date(Date.now() + DAY_MS) }),
  },
} as const satisfies Record<string, WorkPlan>;

export type Work = keyof typeof WORKS;
export const WORK_NAMES = Object.keys(WORKS) as Work[];
