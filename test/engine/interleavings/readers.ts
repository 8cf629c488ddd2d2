import { Overloaded, StoreUnavailable, TaskExpired, TaskNotTerminal } from "../../../src/domain/errors.ts";
import { PAGE_EVENTS_MAX } from "../../../src/domain/limits.ts";
import { isTerminal } from "../../../src/domain/task.ts";
import type { TapePage } from "../../../src/engine/api/task-engine.ts";
import { followTape, readEvents, waitForEnd } from "../../../src/engine/read/follow.ts";
import type { PlannedReader } from "./plan.ts";
import { missingEvents } from "./violations.ts";
import type { Server, World } from "./world.ts";

const RECONNECT_MS = 20;

/** Reads a task to its end, as a client does: after a failure, it reconnects at the seq after its last event. */
export async function read(world: World, planned: PlannedReader, taskId: string): Promise<void> {
  for (let count = 0; count < planned.after; count++) await world.scheduler.pause("before the reader");
  const reader = new Reader(world, planned, taskId);
  while (!(await reader.connect())) await world.scheduler.sleep("reconnect", RECONNECT_MS);
}

/** One reader of a tape, which holds each page to the promises. */
class Reader {
  readonly #world: World;
  readonly #server: Server;
  readonly #planned: PlannedReader;
  readonly #taskId: string;
  readonly #leave = new AbortController();
  #cursor: bigint;
  #lastSeq = 0n;
  #pages = 0;
  /** Whether a stream has yielded a page. */
  #isOpen = false;
  /** What the first page of this call must show. */
  #mustShow: bigint | null = null;

  constructor(world: World, planned: PlannedReader, taskId: string) {
    this.#world = world;
    this.#server = world.servers[planned.server];
    this.#planned = planned;
    this.#taskId = taskId;
    // A position that the tape has: other positions are refused.
    const lastSeq = world.tables.rows.get(taskId)?.lastSeq ?? 0n;
    this.#cursor = BigInt(Math.min(planned.fromSeq, Number(lastSeq) + 1));
  }

  /** @returns whether the reader is done */
  async connect(): Promise<boolean> {
    const row = this.#world.tables.rows.get(this.#taskId);
    const isRemoved = row === undefined;
    this.#mustShow = row?.lastSeq ?? null;
    this.#isOpen = false;
    try {
      if (this.#planned.type === "stream") await this.#stream();
      else if (this.#planned.type === "long poll") await this.#poll();
      else await this.#wait();
      if (isRemoved) this.#violate("a reader got a task that was removed before");
      return true;
    } catch (error) {
      if (error === this.#leave.signal.reason) return true;
      if (error instanceof TaskExpired && this.#world.tables.removed.has(this.#taskId)) return true;
      if (error instanceof TaskNotTerminal) return false;
      if (error instanceof Overloaded && this.#isOpen) this.#violate("an open stream was refused as overload");
      const isOfStore = error instanceof StoreUnavailable || error instanceof Overloaded;
      if (isOfStore && this.#world.hasFaults) return false;
      this.#violate(`a reader failed: ${String(error)}`);
      return true;
    }
  }

  async #stream(): Promise<void> {
    const { heartbeatMs } = this.#world.plan;
    const query = { taskId: this.#taskId, fromSeq: this.#cursor, heartbeatMs };
    let isFirst = true;
    let last: TapePage | null = null;
    for await (const page of followTape(this.#server.source, query, this.#leave.signal)) {
      if (page.events.length === 0 && !isFirst && heartbeatMs > this.#world.scheduler.nowMs / 2) {
        this.#violate("a follower got an empty page that is no heartbeat");
      }
      isFirst = false;
      this.#isOpen = true;
      last = page;
      this.#take(page);
      await this.#rest();
    }
    if (last === null || !isTerminal(last.status) || last.hasMore) this.#violate("a stream ended before the end");
  }

  async #poll(): Promise<void> {
    for (;;) {
      const query = { taskId: this.#taskId, fromSeq: this.#cursor, limit: PAGE_EVENTS_MAX };
      this.#mustShow = this.#world.tables.rows.get(this.#taskId)?.lastSeq ?? this.#mustShow;
      const { waitMs } = this.#world.plan;
      const page = await readEvents(this.#server.source, { ...query, waitMs }, this.#leave.signal);
      this.#take(page);
      if (isTerminal(page.status) && !page.hasMore) return;
      await this.#rest();
      if (page.events.length === 0) await this.#world.scheduler.sleep("next poll", RECONNECT_MS);
    }
  }

  async #wait(): Promise<void> {
    const { feed, store } = this.#server;
    const readTask = () => store.readTask(this.#taskId);
    const query = { taskId: this.#taskId, waitMs: this.#world.plan.waitMs };
    const { taskId, status, lastSeq } = await waitForEnd(feed, readTask, query, this.#leave.signal);
    this.#world.requireCommitted("a wait", { taskId, status, lastSeq });
    if (!isTerminal(status)) throw new TaskNotTerminal(taskId, status);
  }

  #take(page: TapePage): void {
    const { taskId, events, lastSeq, nextFromSeq, hasMore } = page;
    this.#world.requireCommitted("a page", page);
    const missing = missingEvents(this.#world.tables, taskId, this.#cursor, events);
    if (missing !== null) this.#violate(`a page has ${missing}, which is not on the tape`);
    if (!events.every(({ seq }, index) => seq === this.#cursor + BigInt(index))) this.#violate("a page has a gap");
    if (nextFromSeq !== this.#cursor + BigInt(events.length)) this.#violate("next_from_seq skips or repeats");
    if (hasMore !== nextFromSeq <= lastSeq) this.#violate("has_more is wrong");
    if (events.length > 0 && events.at(-1)!.seq > lastSeq) this.#violate("a page has events past its last_seq");
    if (lastSeq < this.#lastSeq) this.#violate(`last_seq goes back from ${this.#lastSeq} to ${lastSeq}`);
    if (this.#mustShow !== null && lastSeq < this.#mustShow) this.#violate("a page is older than its call");
    this.#mustShow = null;
    this.#lastSeq = lastSeq;
    this.#cursor = nextFromSeq;
    if (++this.#pages === this.#planned.leavesAfter) this.#leave.abort(new Error("the reader leaves"));
  }

  async #rest(): Promise<void> {
    if (this.#planned.isSlow) await this.#world.scheduler.pause("slow reader");
  }

  #violate(what: string): void {
    const { type, server } = this.#planned;
    this.#world.violate(`${what} (${type} of ${this.#taskId} at server ${server + 1})`);
  }
}
