import { createHash } from "node:crypto";
import type { Kysely } from "kysely";
import type { Logger } from "pino";
import type { StateChange } from "../../domain/task.ts";
import { NOTIFICATION_BYTES_MAX, notify } from "../../store/connection/notifications.ts";
import type { Database } from "../../store/schema.ts";
import { decodeWakeups, encodeWakeups, isProbe } from "./wakeup-message.ts";
import type { EngineObserver } from "../api/engine-observer.ts";
import type { WakeupListener } from "./wakeup-listener.ts";

/** How long commits are gathered before they are sent, so that many commits make few notifications. */
const GATHER_MS = 5;
/** The most tasks in one batch. The polls find the rest. */
const GATHERED_MAX = 20_000;
/** How many sent payloads may be awaited before all of them are forgotten. */
const SENT_MAX = 1_000;

/**
 * Returns the channel on which the servers of a namespace notify each other. Its name has a hash of the namespace: a
 * channel's name may have 63 bytes, and a namespace alone may have as many.
 */
export function wakeupChannel(namespace: string): string {
  return `spool_${createHash("sha256").update(namespace).digest("hex").slice(0, 16)}`;
}

/**
 * Notifies other servers of the commits of this process, and this process of theirs. Wakeups are only hints: they are
 * sent after the commit, not in it, and gathered for some milliseconds. A lost wakeup does no harm, because every wait
 * also polls. A server without peers sends nothing.
 */
export class Wakeups {
  readonly #db: Kysely<Database>;
  readonly #listener: WakeupListener;
  readonly #channel: string;
  /** Identifies the messages of this process. */
  readonly #sender = crypto.randomUUID();
  readonly #observer: EngineObserver;
  readonly #log: Logger;
  readonly #hasPeers: () => boolean;
  readonly #onPeer: () => void;
  readonly #onStates: (states: readonly StateChange[]) => void;
  readonly #onCaughtUp: () => void;
  #gathered = new Map<string, StateChange>();
  /** When the oldest gathered commit was made. */
  #gatheredSince = 0;
  /** The sent payloads that have not returned yet, each with the time of its batch's oldest commit. */
  readonly #sent = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> = Promise.resolve();
  #unsubscribe: (() => Promise<void>) | null = null;

  constructor(parts: {
    db: Kysely<Database>;
    listener: WakeupListener;
    namespace: string;
    observer: EngineObserver;
    log: Logger;
    /** Whether there are other servers to notify. */
    hasPeers: () => boolean;
    /** Called when a wakeup of another server arrives. */
    onPeer: () => void;
    /** Called with the task states that another server has committed. */
    onStates: (states: readonly StateChange[]) => void;
    /** Called when it begins to listen, also after an outage. Earlier wakeups of other servers may have been missed. */
    onCaughtUp: () => void;
  }) {
    this.#db = parts.db;
    this.#listener = parts.listener;
    this.#channel = wakeupChannel(parts.namespace);
    this.#observer = parts.observer;
    this.#log = parts.log;
    this.#hasPeers = parts.hasPeers;
    this.#onPeer = parts.onPeer;
    this.#onStates = parts.onStates;
    this.#onCaughtUp = parts.onCaughtUp;
  }

  start(): void {
    this.#unsubscribe = this.#listener.subscribe(this.#channel, {
      onPayload: (payload) => this.#receive(payload),
      onListening: async () => {
        this.#onCaughtUp();
        // Announces this server: a server without known peers sends no wakeups until another server appears.
        await notify(this.#db, this.#channel, this.#sender);
      },
    });
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#flush();
    await Promise.all([this.#unsubscribe?.(), this.#sending]);
  }

  /** Adds a commit of this process to the next batch. */
  send(state: StateChange): void {
    if (!this.#hasPeers() || this.#gathered.size >= GATHERED_MAX) return;
    const gathered = this.#gathered.get(state.taskId);
    // Commits of one task may arrive here in another order than they were made. A removal is the last of them.
    const isNewer = gathered === undefined || (gathered.status !== "removed" && gathered.lastSeq <= state.lastSeq);
    if (isNewer) this.#gathered.set(state.taskId, state);
    if (this.#timer !== undefined) return;
    this.#gatheredSince = performance.now();
    this.#timer = setTimeout(() => this.#flush(), GATHER_MS);
  }

  #flush(): void {
    this.#timer = undefined;
    const states = [...this.#gathered.values()];
    this.#gathered = new Map();
    const payloads = encodeWakeups({ sender: this.#sender, states }, NOTIFICATION_BYTES_MAX);
    this.#expectReturn(payloads);
    this.#sending = Promise.all([this.#sending, ...payloads.map((payload) => notify(this.#db, this.#channel, payload))])
      .then(() => {})
      .catch((error: unknown) => this.#log.debug({ err: error }, "wakeups: notification not sent"));
  }

  /**
   * Expects payloads to return, to measure their delay. A server's own wakeups return on the path of all wakeups, and
   * both times are of one clock. Lost payloads are forgotten.
   */
  #expectReturn(payloads: readonly string[]): void {
    if (this.#sent.size > SENT_MAX) this.#sent.clear();
    for (const payload of payloads) this.#sent.set(payload, this.#gatheredSince);
  }

  #receive(payload: string): void {
    if (isProbe(payload)) return;
    const { sender, states } = decodeWakeups(payload);
    if (sender === this.#sender) return this.#onReturned(payload);
    this.#onPeer();
    this.#onStates(states);
  }

  #onReturned(payload: string): void {
    const since = this.#sent.get(payload);
    if (since === undefined) return; // It only announced this server, or was forgotten.
    this.#sent.delete(payload);
    this.#observer.wakeupCame(performance.now() - since);
  }
}
