import { batch, signal } from "@preact/signals";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { fromEventMessage } from "../../codec/event.ts";
import { readTapeFrame } from "../../codec/tape-page.ts";
import { EventView } from "../../gen/spool/v1/event_pb.ts";
import { fromTaskMessage } from "../../codec/task.ts";
import type { SpoolRpcError } from "../../codec/rpc-error.ts";
import { followFrames } from "../../client/follow/follow.ts";
import { pause } from "../../async/pause.ts";
import type { Frame, SpoolEvent, Task } from "../../client/types.ts";
import { answered, answeredAtLast, HEARTBEAT_MS, streamed, taskCalls } from "../calls.ts";
import { connection } from "../connection.ts";
import { whileVisible } from "../visibility.ts";
import { TapePages } from "./tape-pages.ts";
import { TapeSummary } from "./tape-summary.ts";

/**
 * A tape with at most this many events is summarized from its start. A longer one is summarized from this many events
 * before its end.
 */
const SUMMED_UP_MAX = 200_000;
/** After this time of processing, the page may render, in ms. */
const BUSY_MS = 12;

const COURSE: ReadonlySet<SpoolEvent["type"]> = new Set(["started", "cancel_requested", "retrying", "final"]);

/** A task and its tape, followed over one stream at a time until it is closed. */
export class Tape implements Disposable {
  /** null: not read yet. */
  readonly task = signal<Task | null>(null);
  readonly lastSeq = signal(0);
  /** The last seq in the summary. */
  readonly summedUpTo = signal(0);
  /** Incremented when the summary changes or pages were read. */
  readonly revision = signal(0);
  /** Why following stopped; null: it continues, or the tape has ended. */
  readonly error = signal<SpoolRpcError | null>(null);
  readonly summary = new TapeSummary();
  readonly pages: TapePages;
  readonly #taskId: string;
  readonly #closed = new AbortController();
  /** Events from this seq on are cached as they arrive, because the end of the tape is visible. */
  #liveFrom = 0;

  constructor(taskId: string) {
    this.#taskId = taskId;
    this.pages = new TapePages(this.read, () => this.revision.value++);
    this.#run().catch((error: unknown) => {
      if (!this.#closed.signal.aborted) this.error.value = error as SpoolRpcError;
    });
  }

  [Symbol.dispose](): void {
    this.#closed.abort();
    this.pages[Symbol.dispose]();
    connection.value = "idle";
  }

  /** The first seq in the summary; more than 1 for a very long tape. */
  get summedUpFrom(): number {
    return Math.max(1, this.#liveFrom - SUMMED_UP_MAX);
  }

  readonly read = async (fromSeq: number, limit: number, signal: AbortSignal): Promise<readonly SpoolEvent[]> => {
    const request = { taskId: this.#taskId, fromSeq: BigInt(fromSeq), limit };
    const { events } = await answered(taskCalls.getEvents(request, { signal }), signal);
    return events.map(fromEventMessage);
  };

  /** Updates the task after another part of the page has read it. */
  setTask(task: Task): void {
    const known = this.task.peek();
    if (known === null || task.lastSeq >= known.lastSeq) this.task.value = task;
  }

  #run(): Promise<void> {
    return whileVisible(this.#closed.signal, async (signal) => {
      connection.value = "connecting";
      await this.#readTask(signal);
      if (this.#liveFrom === 0) {
        this.#liveFrom = this.lastSeq.value + 1;
        this.summedUpTo.value = this.summedUpFrom - 1;
      }
      await this.#follow(signal);
      connection.value = "idle"; // The tape has ended: no connection is needed.
    });
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const openStream = (fromSeq: bigint) => this.#openStream(fromSeq, signal);
    const fromSeq = BigInt(this.summedUpTo.value + 1);
    const onReconnect = ({ state }: { state: "lost" | "resumed" }) => {
      if (!signal.aborted) connection.value = state === "lost" ? "lost" : "live";
    };
    let isStale = false;
    let busySince = performance.now();
    for await (const frame of followFrames(openStream, {
      taskId: this.#taskId,
      fromSeq,
      retryMs: Infinity,
      onReconnect,
      signal,
    })) {
      connection.value = "live";
      this.#take(frame);
      const isCaughtUp = this.summedUpTo.value >= Number(frame.lastSeq);
      isStale ||= frame.status !== this.task.value!.status || frame.events.some(({ type }) => COURSE.has(type));
      // `awaitsWorker` changes without an event.
      isStale ||= frame.status === "pending" && frame.events.length === 0;
      if (isCaughtUp && isStale) {
        await this.#readTask(signal);
        isStale = false;
      }
      if (performance.now() - busySince > BUSY_MS) {
        await pause(0, signal);
        busySince = performance.now();
      }
    }
  }

  async *#openStream(fromSeq: bigint, signal: AbortSignal): AsyncGenerator<Frame, void, undefined> {
    const heartbeatInterval = durationFromMs(HEARTBEAT_MS);
    // For the summary, the text of a model is a few events instead of one for each token.
    const request = { taskId: this.#taskId, fromSeq, heartbeatInterval, view: EventView.FOLDED };
    const open = (over: AbortSignal) => taskCalls.streamEvents(request, { signal: over });
    for await (const message of streamed(open, signal)) {
      yield readTapeFrame({ message, events: message.events.map(fromEventMessage) });
    }
  }

  #take(frame: Frame): void {
    for (const event of frame.events) this.summary.take(event);
    // The list shows every event as recorded, and reads those of a folded event when they come into view.
    const live = frame.events.filter(({ seq, type }) => seq >= this.#liveFrom && type !== "folded");
    if (live.length > 0) this.pages.put(live);
    batch(() => {
      const last = frame.events.at(-1);
      if (last !== undefined) this.summedUpTo.value = Number(last.seq);
      this.lastSeq.value = Math.max(this.lastSeq.value, Number(frame.lastSeq));
      this.revision.value++;
    });
  }

  async #readTask(signal: AbortSignal): Promise<void> {
    const { task } = await answeredAtLast(() => taskCalls.getTask({ taskId: this.#taskId }, { signal }), signal);
    const read = fromTaskMessage(task);
    batch(() => {
      this.setTask(read);
      this.lastSeq.value = Math.max(this.lastSeq.value, Number(read.lastSeq));
    });
  }
}
