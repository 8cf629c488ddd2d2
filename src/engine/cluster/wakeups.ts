import { createHash } from "node:crypto";
import type { Kysely } from "kysely";
import type { Logger } from "pino";
import type { TaskState } from "../../domain/task.ts";
import { listen, NOTIFICATION_BYTES_MAX, notify } from "../../store/connection/notifications.ts";
import type { Database } from "../../store/schema.ts";
import { untilAborted } from "../../async/abort.ts";
import { backoff } from "../../async/backoff.ts";
import { retryWhile } from "../../async/retry.ts";
import { decodeWakeups, encodeWakeups, isProbe } from "./wakeup-message.ts";
import type { EngineObserver } from "../api/engine-metrics.ts";

/** Commits are gathered for so long, so that however many there are, the notifications stay few. */
const GATHER_MS = 5;
/** Tasks that one turn tells of at the most. What is left out is found by the polls. */
const GATHERED_MAX = 20_000;
/** Messages that are waited for to come back. */
const SENT_MAX = 1_000;

/** By which the servers of a namespace tell each other. A channel's name is at most 63 bytes, as is a namespace's alone. */
export function wakeupChannel(namespace: string): string {
  return `spool_${createHash("sha256").update(namespace).digest("hex").slice(0, 16)}`;
}

/**
 * Tells the other processes of the service what this one has committed, and this one what they have. Hints alone: sent
 * after the commit and not in it, gathered for some milliseconds, lost without harm, for every wait also polls. With
 * nobody else there, nothing is sent.
 */
export class Wakeups {
  readonly #db: Kysely<Database>;
  readonly #url: string;
  readonly #channel: string;
  /** Tells this process's own messages from the others'. */
  readonly #sender = crypto.randomUUID();
  readonly #observer: EngineObserver;
  readonly #log: Logger;
  readonly #hasPeers: () => boolean;
  readonly #onPeer: () => void;
  readonly #onStates: (states: readonly TaskState[]) => void;
  readonly #onCaughtUp: () => void;
  readonly #stopped = new AbortController();
  #gathered = new Map<string, TaskState>();
  /** When the oldest of them was committed. */
  #gatheredSince = 0;
  /** What was sent and has not come back, and since when it tells of something. */
  readonly #sent = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> = Promise.resolve();
  #listening: Promise<void> = Promise.resolve();

  constructor(parts: {
    db: Kysely<Database>;
    /** Of the server: listening takes a connection of its own. */
    url: string;
    namespace: string;
    observer: EngineObserver;
    log: Logger;
    /** Whether another process is there to be told. */
    hasPeers: () => boolean;
    /** Another process has shown itself. */
    onPeer: () => void;
    /** What another process has committed. */
    onStates: (states: readonly TaskState[]) => void;
    /** It listens, for the first time or again: what others did before may have been missed. */
    onCaughtUp: () => void;
  }) {
    this.#db = parts.db;
    this.#url = parts.url;
    this.#channel = wakeupChannel(parts.namespace);
    this.#observer = parts.observer;
    this.#log = parts.log;
    this.#hasPeers = parts.hasPeers;
    this.#onPeer = parts.onPeer;
    this.#onStates = parts.onStates;
    this.#onCaughtUp = parts.onCaughtUp;
  }

  start(): void {
    this.#listening = this.#listen();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    clearTimeout(this.#timer);
    this.#flush();
    await Promise.all([this.#listening, this.#sending]);
  }

  /** Gathers a commit of this process to notify the other processes. */
  send(state: TaskState): void {
    if (!this.#hasPeers() || this.#gathered.size >= GATHERED_MAX) return;
    const gathered = this.#gathered.get(state.taskId);
    // Commits of one task may be told in another order than they were made.
    if (gathered === undefined || gathered.lastSeq <= state.lastSeq) this.#gathered.set(state.taskId, state);
    if (this.#timer !== undefined) return;
    this.#gatheredSince = performance.now();
    this.#timer = setTimeout(() => this.#flush(), GATHER_MS);
  }

  #flush(): void {
    this.#timer = undefined;
    const states = [...this.#gathered.values()];
    this.#gathered = new Map();
    const payloads = encodeWakeups({ sender: this.#sender, states }, NOTIFICATION_BYTES_MAX);
    this.#expectBack(payloads);
    this.#sending = Promise.all([this.#sending, ...payloads.map((payload) => notify(this.#db, this.#channel, payload))])
      .then(() => {})
      .catch((error: unknown) => this.#log.debug({ err: error }, "a wakeup was not sent"));
  }

  /** Its own come back to it too, by the way that the others' come, and by one clock. Those that are lost are forgotten. */
  #expectBack(payloads: readonly string[]): void {
    if (this.#sent.size > SENT_MAX) this.#sent.clear();
    for (const payload of payloads) this.#sent.set(payload, this.#gatheredSince);
  }

  async #listen(): Promise<void> {
    const { signal } = this.#stopped;
    const onOutage = (error: unknown) => this.#log.warn({ err: error }, "wakeups cannot be received: the polls go on");
    const isTransient = () => !signal.aborted;
    while (!signal.aborted) {
      await retryWhile(isTransient, () => this.#listenOnce(signal), { signal, onOutage }).catch(() => {});
      await backoff(1, signal);
    }
  }

  /** Listens until the connection is lost or the signal fires. */
  async #listenOnce(signal: AbortSignal): Promise<void> {
    const listener = await listen(this.#url, this.#channel, (payload) => this.#receive(payload));
    try {
      this.#onCaughtUp();
      // Shows itself: a process that was alone tells nobody anything until it knows that somebody is there.
      await notify(this.#db, this.#channel, this.#sender);
      await untilAborted(listener.lost, signal);
    } finally {
      await listener.close();
    }
  }

  #receive(payload: string): void {
    if (isProbe(payload)) return;
    const { sender, states } = decodeWakeups(payload);
    if (sender === this.#sender) return this.#cameBack(payload);
    this.#onPeer();
    this.#onStates(states);
  }

  #cameBack(payload: string): void {
    const since = this.#sent.get(payload);
    if (since === undefined) return; // It only showed itself.
    this.#sent.delete(payload);
    this.#observer.wakeupCame(performance.now() - since);
  }
}
