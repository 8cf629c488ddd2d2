import { Overloaded, StoreUnavailable } from "../../domain/errors.ts";
import type { Dialed, Dialer } from "./dialer.ts";
import type { NamedClient } from "./named-client.ts";
import { WrongRole } from "./session-check.ts";
import { meaningOf } from "./failed-statement.ts";
import type { DropReason, PoolStats, PoolWatch } from "./pool-metrics.ts";
import { WaitingLine } from "./waiting-line.ts";
import type { Waiter } from "./waiting-line.ts";

/** The longest time that a statement waits for a connection. */
const POOL_WAIT_MS_MAX = 5_000;
/** How often one of the open connections is checked: whether it still leads to a server of its role. */
const CHECK_EVERY_MS = 500;
const CHECK_TRIES = 2;
/** The idle time after which a connection is closed. */
const IDLE_MS_MAX = 10_000;
/** The deadline for closing a connection in order. After it, the peer counts as lost. */
const END_MS_MAX = 1_000;
/** One of every RESERVED_SHARE connections is reserved for statements with priority, up to RESERVED_MAX. */
const RESERVED_SHARE = 8;
const RESERVED_MAX = 2;

interface Member {
  client: NamedClient;
  instance: string;
  generation: number;
  idleSince: number;
  isPriority: boolean;
  /** Whether an error has made the connection unusable for another statement. */
  isUnfit: boolean;
}

/** A connection in the form that Kysely expects. */
export type LentClient = NamedClient & { release(discard?: boolean): void };

/**
 * The connections of a process to its database. Each connection is checked when it is opened, and one of them twice a
 * second. All are dropped if one leads to a server that does not have the role that it must have (a primary that takes
 * writes, or a standby), or if a new connection leads to another server than the earlier ones. So no statement reads from
 * a server after a failover has replaced it.
 *
 * Statements with priority overtake other waiting statements, and some connections are reserved for them. So reads do
 * not delay the statements that keep this process alive: its session, and the events and ends of its tasks.
 */
export class ConnectionPool {
  readonly #dialer: Pick<Dialer, "dial" | "check">;
  readonly #max: number;
  readonly #ordinaryMax: number;
  readonly #watch: PoolWatch;
  readonly #isChecked: boolean;
  readonly #members = new Set<Member>();
  readonly #idle: Member[] = [];
  readonly #line: WaitingLine<LentClient>;
  readonly #timer: NodeJS.Timeout;
  readonly #dropped: Record<DropReason, number> = { read_only: 0, moved: 0, broken: 0 };
  #dialing = 0;
  #ordinaryBusy = 0;
  #generation = 0;
  /** The start time of the server that the connections lead to; null before the first connection. */
  #instance: string | null = null;
  #isChecking = false;
  #timeouts = 0;
  #isExhausted = false;
  #closed: PromiseWithResolvers<void> | null = null;

  /**
   * @param max the most connections that are open at once
   * @param isChecked whether the connections must lead to a server of the dialer's role
   */
  constructor({
    dialer,
    max,
    watch,
    isChecked = true,
  }: {
    dialer: Pick<Dialer, "dial" | "check">;
    max: number;
    watch: PoolWatch;
    isChecked?: boolean;
  }) {
    this.#dialer = dialer;
    this.#max = max;
    this.#ordinaryMax = max - Math.min(RESERVED_MAX, Math.floor(max / RESERVED_SHARE));
    this.#watch = watch;
    this.#isChecked = isChecked;
    this.#line = new WaitingLine({ waitMs: POOL_WAIT_MS_MAX, giveUp: (waiter) => this.#giveUp(waiter) });
    this.#timer = setInterval(() => this.#tick(), CHECK_EVERY_MS).unref();
  }

  /**
   * Lends a connection until it is released.
   *
   * @throws Overloaded if all connections stay in use; StoreUnavailable if none can be opened. Callers with priority,
   *   which retry by themselves, get StoreUnavailable in both cases.
   */
  connect({ priority = false }: { priority?: boolean } = {}): Promise<LentClient> {
    if (this.#closed !== null) return Promise.reject(new StoreUnavailable(new Error("the database was closed")));
    const isLet = priority || this.#ordinaryBusy < this.#ordinaryMax;
    if (isLet && this.#idle.length > 0 && this.#line.length === 0)
      return Promise.resolve(this.#lend(this.#idle.pop()!, priority));
    const lent = this.#line.join({ isPriority: priority });
    this.#pump();
    return lent;
  }

  /** Checks whether the server has its role, and drops all connections if it does not. @throws StoreUnavailable */
  async check(): Promise<void> {
    for (let triesLeft = CHECK_TRIES; ; triesLeft--) {
      const lent = await this.connect({ priority: true });
      try {
        return await this.#dialer.check(lent);
      } catch (error) {
        if (error instanceof WrongRole) this.#drop("read_only", error);
        // An idle connection may have been lost unnoticed, which says nothing about the database.
        else if (triesLeft > 1) continue;
        throw new StoreUnavailable(error);
      } finally {
        lent.release();
      }
    }
  }

  stats(): PoolStats {
    return {
      connections: this.#members.size,
      idle: this.#idle.length,
      connectionsMax: this.#max,
      waiting: this.#line.length,
      timeouts: this.#timeouts,
      dropped: { ...this.#dropped },
    };
  }

  /** Rejects new statements. Resolves when the running ones have released their connections. */
  async end(): Promise<void> {
    if (this.#closed === null) {
      this.#closed = Promise.withResolvers();
      clearInterval(this.#timer);
      this.#line.rejectAll(new StoreUnavailable(new Error("the database was closed")));
      for (const member of this.#idle.splice(0)) this.#close(member);
      this.#settleEnd();
    }
    await this.#closed.promise;
  }

  /** Lends idle connections to waiters, and opens connections for the remaining waiters. */
  #pump(): void {
    while (this.#idle.length > 0) {
      const waiter = this.#line.next({ isOrdinaryLet: this.#ordinaryBusy < this.#ordinaryMax });
      if (waiter === undefined) break;
      waiter.resolve(this.#lend(this.#idle.pop()!, waiter.isPriority));
    }
    const wanted = this.#line.countLet(this.#ordinaryMax - this.#ordinaryBusy);
    const room = this.#max - this.#members.size - this.#dialing;
    for (let count = Math.min(room, wanted - this.#dialing); count > 0; count--) void this.#dial();
    if (this.#line.length === 0) this.#isExhausted = false;
  }

  #lend(member: Member, isPriority: boolean): LentClient {
    member.isPriority = isPriority;
    if (!isPriority) this.#ordinaryBusy++;
    // Kysely identifies a connection by reference, so each loan is the same client with a release of its own.
    let isReleased = false;
    const release = (discard = false) => {
      if (isReleased) return;
      isReleased = true;
      this.#release(member, discard);
    };
    return Object.assign(member.client, { release });
  }

  #release(member: Member, discard: boolean): void {
    if (!member.isPriority) this.#ordinaryBusy--;
    const isStale = member.generation !== this.#generation;
    // A connection that is released inside a transaction would run the next statement in this transaction.
    const isBroken = discard || member.isUnfit || !member.client.isOutsideTransaction;
    if (isBroken && this.#members.has(member)) this.#dropped.broken++;
    if (isStale || isBroken || this.#closed !== null) {
      this.#close(member);
    } else if (this.#members.has(member)) {
      member.idleSince = performance.now();
      this.#idle.push(member);
    }
    this.#pump();
    this.#settleEnd();
  }

  async #dial(): Promise<void> {
    const generation = this.#generation;
    this.#dialing++;
    try {
      this.#admit(await this.#dialer.dial(), generation);
    } catch (error) {
      // The open connections may lead to the same server, or still to the primary.
      if (error instanceof WrongRole) this.#checkSoon();
      // The connection was meant for the waiter that has waited longest.
      this.#line.next({ isOrdinaryLet: this.#ordinaryBusy < this.#ordinaryMax })?.reject(new StoreUnavailable(error));
    } finally {
      this.#dialing--;
      this.#pump();
      this.#settleEnd();
    }
  }

  #admit({ client, facts: { instance } }: Dialed, generation: number): void {
    const member: Member = {
      client,
      instance,
      generation,
      idleSince: performance.now(),
      isPriority: false,
      isUnfit: false,
    };
    // All connections were dropped while this one was being opened, so its check is outdated.
    if (this.#closed !== null || generation !== this.#generation) return this.#endOrDestroy(client);
    if (this.#isChecked && this.#instance !== null && this.#instance !== instance) {
      this.#drop("moved", null);
      member.generation = this.#generation;
    }
    this.#instance = instance;
    this.#members.add(member);
    client.onFailure = (error) => this.#onFailure(member, error);
    client.on("error", () => this.#onLost(member)).on("end", () => this.#onLost(member));
    this.#idle.push(member);
  }

  /** Marks a connection as unusable if the error says so. Drops or checks all connections if they may be affected. */
  #onFailure(member: Member, error: unknown): void {
    const meaning = meaningOf(error);
    if (meaning === "content") return;
    member.isUnfit = true;
    if (meaning === "left" && this.#isChecked) this.#drop("read_only", error as Error);
    else if (meaning === "broken") this.#checkSoon();
  }

  /** Removes a connection whose socket has closed. */
  #onLost(member: Member): void {
    if (!this.#members.delete(member)) return;
    this.#dropped.broken++;
    const at = this.#idle.indexOf(member);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#endOrDestroy(member.client);
    this.#checkSoon();
    this.#pump();
    this.#settleEnd();
  }

  /** Closes all connections: idle ones now, the others when they are released or have been opened. */
  #drop(reason: Exclude<DropReason, "broken">, error: Error | null): void {
    this.#generation++;
    this.#instance = null;
    const count = this.#members.size;
    this.#dropped[reason] += count;
    if (count > 0) this.#watch.dropped(reason, error);
    for (const member of this.#idle.splice(0)) this.#close(member);
  }

  #close(member: Member): void {
    if (this.#members.delete(member)) this.#endOrDestroy(member.client);
  }

  #endOrDestroy(client: NamedClient): void {
    const timer = setTimeout(() => client.destroy(), END_MS_MAX).unref();
    void client
      .end()
      .catch(() => {})
      .finally(() => clearTimeout(timer));
  }

  #tick(): void {
    const old = performance.now() - IDLE_MS_MAX;
    while (this.#idle.length > 0 && this.#idle[0]!.idleSince < old) this.#close(this.#idle.shift()!);
    this.#checkSoon();
  }

  /** Starts a check, unless one is running. A failed check drops the connections itself, so its error is ignored. */
  #checkSoon(): void {
    const isIdle = this.#members.size === 0 || this.#closed !== null;
    if (!this.#isChecked || isIdle || this.#isChecking) return;
    this.#isChecking = true;
    void this.check()
      .catch(() => {})
      .finally(() => (this.#isChecking = false));
  }

  #giveUp(waiter: Waiter<LentClient>): void {
    const areAllTaken = this.#members.size >= this.#max || this.#ordinaryBusy >= this.#ordinaryMax;
    if (!areAllTaken) return waiter.reject(new StoreUnavailable(new Error("no connection could be opened in time")));
    this.#timeouts++;
    if (!this.#isExhausted) this.#watch.exhausted(this.stats());
    this.#isExhausted = true;
    const overloaded = new Overloaded("statements wait for a connection to the database");
    waiter.reject(waiter.isPriority ? new StoreUnavailable(overloaded) : overloaded);
  }

  #settleEnd(): void {
    if (this.#closed !== null && this.#members.size === 0 && this.#dialing === 0) this.#closed.resolve();
  }
}
