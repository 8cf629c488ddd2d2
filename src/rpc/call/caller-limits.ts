import { Overloaded } from "../../domain/errors.ts";
import { FOLLOWS_PER_CONNECTION_DEFAULT, WAITING_READS_DEFAULT } from "../../domain/limits.ts";
import type { TaskService } from "../../gen/spool/v1/task_service_pb.ts";
import { FairTurns } from "./fair-turns.ts";
import type { CallContext, ServiceHandlers } from "./service.ts";

type Handlers = ServiceHandlers<typeof TaskService>;

/** How many reads run at once, by their cost. A page with more entries than LARGE_PAGE is large. */
const LARGE_PAGE = 100;
const READS_AT_ONCE = 8;
const LARGE_READS_AT_ONCE = 1;

/** The limits that all callers of a server share, at every endpoint. */
export class CallerLimits {
  readonly #waitingMax: number;
  readonly reads: FairTurns;
  readonly largeReads: FairTurns;
  readonly activity: FairTurns;
  readonly #followsMax: number;
  readonly #tooManyFollows: Overloaded;
  readonly #follows = new Map<string, number>();

  constructor({
    waitingReads = WAITING_READS_DEFAULT,
    followsPerConnection = FOLLOWS_PER_CONNECTION_DEFAULT,
  }: { waitingReads?: number; followsPerConnection?: number } = {}) {
    this.#waitingMax = waitingReads;
    this.#followsMax = followsPerConnection;
    this.#tooManyFollows = new Overloaded(
      `this connection already has ${followsPerConnection} open FollowTasks streams`,
    );
    this.reads = this.#turns("tasks", READS_AT_ONCE);
    this.largeReads = this.#turns("large pages", LARGE_READS_AT_ONCE);
    this.activity = this.#turns("activity", LARGE_READS_AT_ONCE);
  }

  /** Returns the error if a caller may not open another stream over many tasks, always the same object; otherwise null. */
  refuseFollow(caller: string): Overloaded | null {
    return (this.#follows.get(caller) ?? 0) < this.#followsMax ? null : this.#tooManyFollows;
  }

  /** Counts a stream over many tasks until the result is disposed. @throws Overloaded */
  openFollow(caller: string): Disposable {
    const refusal = this.refuseFollow(caller);
    if (refusal !== null) throw refusal;
    this.#follows.set(caller, (this.#follows.get(caller) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = this.#follows.get(caller)! - 1;
        if (left > 0) this.#follows.set(caller, left);
        else this.#follows.delete(caller);
      },
    };
  }

  #turns(what: string, atOnce: number): FairTurns {
    return new FairTurns({ what, atOnce, waitingMax: this.#waitingMax });
  }
}

/**
 * Wraps the handlers so that callers take turns with expensive reads: lists, large pages of events, activity, and the
 * first read of a stream over many tasks. The streams over many tasks of a caller are bounded. Past a bound: OVERLOADED.
 */
export function limitCallers(handlers: Handlers, limits: CallerLimits): Handlers {
  const callerOf = ({ caller }: CallContext) => caller ?? "";
  return {
    ...handlers,

    async listTasks(request, context) {
      const turns = request.pageSize > LARGE_PAGE ? limits.largeReads : limits.reads;
      using _turn = await turns.take(callerOf(context), context.signal);
      return await handlers.listTasks(request, context);
    },

    async getEvents(request, context) {
      // A call that waits for events would hold its turn while it waits, and returns few events.
      if ((request.limit ?? 0) <= LARGE_PAGE || request.wait !== undefined) return handlers.getEvents(request, context);
      using _turn = await limits.largeReads.take(callerOf(context), context.signal);
      return await handlers.getEvents(request, context);
    },

    async getActivity(request, context) {
      using _turn = await limits.activity.take(callerOf(context), context.signal);
      return await handlers.getActivity(request, context);
    },

    async *followTasks(request, context) {
      const caller = callerOf(context);
      using _follow = limits.openFollow(caller);
      const frames = handlers.followTasks(request, context)[Symbol.asyncIterator]();
      try {
        let turn: Disposable | undefined = await limits.reads.take(caller, context.signal);
        try {
          for (;;) {
            const { done, value } = await frames.next();
            turn?.[Symbol.dispose]();
            turn = undefined;
            if (done === true) return;
            yield value;
          }
        } finally {
          turn?.[Symbol.dispose]();
        }
      } finally {
        await frames.return?.();
      }
    },
  };
}
