import { Overloaded, StoreUnavailable } from "../../../src/domain/errors.ts";
import type { Task } from "../../../src/domain/task.ts";
import type { PageQuery } from "../../../src/engine/api/task-engine.ts";
import type { FlushStore } from "../../../src/engine/write/flush-store.ts";
import type { StoredPage } from "../../../src/store/tapes/event-queries.ts";
import type { Flush } from "../../../src/store/tapes/journal-statement.ts";
import type { Choices } from "../../support/choices.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Tables } from "./tables.ts";

/** How often each fault occurs, from 0 to 1. */
export interface FaultRates {
  /** The statement does not reach the database. */
  unreached: number;
  /** The statement takes effect, and its answer is lost. */
  lostAnswer: number;
  /** The answer is lost first, and the statement takes effect later. */
  late: number;
  /** The database refuses the statement, and would accept it at another time. */
  trouble: number;
  /** The statement is rolled back because of another transaction. */
  conflict: number;
  /** A read finds no free connection. */
  overload: number;
}

export const NO_FAULTS: FaultRates = { unreached: 0, lostAnswer: 0, late: 0, trouble: 0, conflict: 0, overload: 0 };

/** The body of an event that the database refuses. */
export const POISON = "poison";

/**
 * The store of one server: the statements of the journal and the reads of followers, over tables in memory. The
 * scheduler decides when a statement takes effect and when its answer arrives. The seed decides which of them fail.
 */
export class FaultyStore {
  readonly #tables: Tables;
  readonly #scheduler: Scheduler;
  readonly #choices: Choices;
  readonly #eventsAPage: number;
  readonly #rates: () => FaultRates;
  /** Statements whose answer is lost and that will take effect later. */
  late = 0;

  constructor(parts: {
    tables: Tables;
    scheduler: Scheduler;
    choices: Choices;
    rates: () => FaultRates;
    /** How many events fit into a page. */
    eventsAPage: number;
  }) {
    this.#tables = parts.tables;
    this.#scheduler = parts.scheduler;
    this.#choices = parts.choices;
    this.#eventsAPage = parts.eventsAPage;
    this.#rates = parts.rates;
  }

  readonly flushes: FlushStore = {
    writeFlush: (flush) => this.#write("flush", () => this.#flush(flush)),
    findRemoved: (taskIds) => this.#read("removed?", () => this.#tables.findRemoved(taskIds)),
    readTaskStates: (taskIds) => this.#read("states", () => this.#tables.states(taskIds)),
    readTaskByRequest: ({ requestId }) => this.#read("request?", () => this.#tables.byRequest(requestId)),
  };

  readPage(query: PageQuery): Promise<StoredPage> {
    const limit = Math.min(query.limit, this.#eventsAPage);
    return this.#readForCaller("page", () => this.#tables.page({ ...query, limit }));
  }

  readTask(taskId: string): Promise<Task> {
    return this.#readForCaller("task", () => this.#tables.task(taskId));
  }

  readStates(taskIds: readonly string[]): ReturnType<FlushStore["readTaskStates"]> {
    return this.#read("states", () => this.#tables.states(taskIds));
  }

  /** Runs a short transaction of the control path. @throws StoreUnavailable, perhaps after the commit */
  transact<Answer>(name: string, work: () => Answer): Promise<Answer> {
    return this.#write(name, work);
  }

  #flush(flush: Flush): ReturnType<Tables["flush"]> {
    const isRefused = flush.appends.some(({ events }) => events.some(({ body }) => body === POISON));
    if (isRefused) throw Object.assign(new Error("invalid input syntax for type json"), { code: "22P02" });
    return this.#tables.flush(flush);
  }

  async #write<Answer>(name: string, work: () => Answer): Promise<Answer> {
    const { unreached, lostAnswer, late, trouble, conflict } = this.#rates();
    await this.#scheduler.pause(`${name} begins`);
    const choices = this.#choices;
    if (choices.chance(unreached)) return this.#fail(name, new StoreUnavailable(new Error("refused")));
    if (choices.chance(trouble)) {
      return this.#fail(name, new StoreUnavailable(new Error("disk full"), { sqlstate: "53100" }));
    }
    if (choices.chance(conflict)) return this.#fail(name, Object.assign(new Error("deadlock"), { code: "40P01" }));
    if (choices.chance(late)) {
      this.late++;
      this.#scheduler.add(`${name} takes effect late`, () => {
        this.late--;
        try {
          work();
        } catch {
          // Its client is gone.
        }
      });
      return this.#fail(name, new StoreUnavailable(new Error("connection lost")));
    }
    const answer = attempt(work);
    if (choices.chance(lostAnswer)) return this.#fail(name, new StoreUnavailable(new Error("connection lost")));
    await this.#scheduler.pause(`${name} is answered`);
    return answer();
  }

  async #read<Answer>(name: string, work: () => Answer): Promise<Answer> {
    await this.#scheduler.pause(`${name} is read`);
    if (this.#choices.chance(this.#rates().unreached)) {
      return this.#fail(name, new StoreUnavailable(new Error("refused")));
    }
    const answer = attempt(work);
    await this.#scheduler.pause(`${name} is answered`);
    return answer();
  }

  async #readForCaller<Answer>(name: string, work: () => Answer): Promise<Answer> {
    if (this.#choices.chance(this.#rates().overload)) throw new Overloaded("connections");
    return this.#read(name, work);
  }

  async #fail(name: string, error: Error): Promise<never> {
    await this.#scheduler.pause(`${name} fails: ${error.message}`);
    throw error;
  }
}

/** Runs work, and returns a function that returns or throws what the work did. */
function attempt<Answer>(work: () => Answer): () => Answer {
  try {
    const answer = work();
    return () => answer;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}
