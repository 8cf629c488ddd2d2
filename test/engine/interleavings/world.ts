import { pino } from "pino";
import { missingEvents } from "./violations.ts";
import { Feed } from "../../../src/engine/read/feed.ts";
import type { Committed } from "../../../src/engine/read/feed.ts";
import { CurrentStates } from "../../../src/engine/read/current-states.ts";
import { StoredPages } from "../../../src/engine/read/stored-pages.ts";
import type { TapeSource } from "../../../src/engine/read/tape-source.ts";
import { Journal } from "../../../src/engine/write/journal.ts";
import { TaskNotFound } from "../../../src/domain/errors.ts";
import type { StateChange, TaskState } from "../../../src/domain/task.ts";
import { recordObserver } from "../../support/recorded-observer.ts";
import type { Choices } from "../../support/choices.ts";
import { FaultyStore, NO_FAULTS } from "./faulty-store.ts";
import type { Plan } from "./plan.ts";
import { Scheduler } from "./scheduler.ts";
import { Tables } from "./tables.ts";

const LOG = pino({ level: "silent" });
const POLL_MS = 1_000;

/** A server: its journal, its feed, and its connections to the store. */
export interface Server {
  name: string;
  feed: Feed;
  store: FaultyStore;
  journal: Journal;
  source: TapeSource;
  halted: AbortController;
  events: () => number;
}

/** Two servers on one store, of which a scheduler takes one step after the other. */
export class World {
  readonly plan: Plan;
  readonly scheduler: Scheduler;
  readonly tables: Tables;
  readonly servers: readonly [Server, Server];
  /** What must not happen, and has happened. */
  readonly violations: string[] = [];
  readonly #choices: Choices;
  failedStarts = 0;
  isOver = false;

  constructor(plan: Plan, choices: Choices, isTraced: boolean) {
    this.plan = plan;
    this.#choices = choices;
    this.scheduler = new Scheduler(choices, { timeRate: plan.timeRate, isTraced });
    this.tables = new Tables(() => new Date(Math.floor(this.scheduler.nowMs)));
    this.servers = [this.#openServer("one"), this.#openServer("two")];
  }

  get isCalm(): boolean {
    return this.scheduler.steps > this.plan.calmAfter;
  }

  /** Whether a statement may fail in this run. */
  get hasFaults(): boolean {
    return Object.values(this.plan.rates).some((rate) => rate > 0);
  }

  get late(): number {
    return this.servers.reduce((sum, { store }) => sum + store.late, 0);
  }

  violate(what: string): void {
    this.violations.push(what);
  }

  /** Requires a state that the task has, or had before. */
  requireCommitted(by: string, { taskId, status, lastSeq }: TaskState): void {
    const row = this.tables.rows.get(taskId);
    if (row === undefined) {
      if (!this.tables.removed.has(taskId)) this.violate(`${by} shows a task that is not stored`);
    } else if (row.past.get(lastSeq) !== status) {
      this.violate(`${by} shows ${status} at ${lastSeq}, which was never committed`);
    }
  }

  /** Polls the followed tapes of a server, as its tape poller does. */
  async poll({ feed, store }: Server): Promise<void> {
    while (!this.isOver) {
      await this.scheduler.sleep("poll", POLL_MS);
      const taskIds = [...feed.followed(), ...feed.followedToEnd()];
      if (taskIds.length === 0) continue;
      const missing = new Set(taskIds.filter((taskId) => feed.state(taskId) !== undefined));
      const states = await store.readStates(taskIds).catch(() => null);
      if (states === null) continue;
      for (const state of states) {
        missing.delete(state.taskId);
        feed.observe(state);
      }
      for (const taskId of missing) feed.observeRemoval(taskId);
    }
  }

  #openServer(name: string): Server {
    const { scheduler, tables, plan } = this;
    const feed = new CheckedFeed(this, (change) => this.#wake(name, change));
    const rates = () => (this.isCalm ? NO_FAULTS : plan.rates);
    const choices = this.#choices;
    const store = new FaultyStore({ tables, scheduler, choices, rates, eventsAPage: plan.eventsAPage });
    const { observer, events } = recordObserver();
    const journal = new Journal({ store: store.flushes, feed, observer, log: LOG });
    const states = new CurrentStates((taskIds) => store.readStates(taskIds));
    const halted = new AbortController();
    journal.giveUpOn(halted.signal);
    const source: TapeSource = {
      feed,
      stored: new StoredPages({ feed, readStore: (query) => store.readPage(query) }),
      states: {
        read: (taskId) =>
          states.read(taskId).catch((error: unknown) => {
            // As tape-source.ts, which finds out whether the task was removed.
            if (error instanceof TaskNotFound) tables.task(taskId);
            throw error;
          }),
      },
    };
    return { name, feed, store, journal, source, halted, events };
  }

  /** Sends a wakeup to the other server. It may get lost, and it may arrive after later ones. */
  #wake(from: string, { taskId, status, lastSeq }: StateChange): void {
    if (!this.plan.hasWakeups || this.#choices.chance(0.3)) return;
    const { feed } = this.servers.find(({ name }) => name !== from)!;
    this.scheduler.add("wakeup", () => {
      if (status === "removed") feed.observeRemoval(taskId);
      else feed.observe({ taskId, status, lastSeq });
    });
  }
}

/** A feed that accepts only what is committed. */
class CheckedFeed extends Feed {
  readonly #world: World;

  constructor(world: World, onCommit: (change: StateChange) => void) {
    super(onCommit);
    this.#world = world;
  }

  override publish(committed: Committed): void {
    const { taskId, firstSeq, events, status } = committed;
    this.#world.requireCommitted("a commit in the feed", {
      taskId,
      status,
      lastSeq: firstSeq + BigInt(events.length) - 1n,
    });
    const missing = missingEvents(this.#world.tables, taskId, firstSeq, events);
    if (missing !== null) this.#world.violate(`the feed got ${missing}, which is not committed`);
    super.publish(committed);
  }

  override announce(state: TaskState): void {
    this.#world.requireCommitted("an announcement", state);
    super.announce(state);
  }

  override observe(state: TaskState): void {
    this.#world.requireCommitted("the feed", state);
    super.observe(state);
  }
}
