import type { Logger } from "pino";
import { openListener } from "../../store/connection/notifications.ts";
import type { Listener } from "../../store/connection/notifications.ts";
import { untilAborted } from "../../async/abort.ts";
import { backoff } from "../../async/backoff.ts";
import { retryWhile } from "../../async/retry.ts";

/** Receives the payloads of a channel. */
export interface Subscriber {
  onPayload(payload: string): void;
  /** Called when payloads begin to arrive, also after an outage. Earlier payloads may have been missed. */
  onListening(): Promise<void>;
}

/**
 * Listens for wakeups on one connection, which all namespaces of a process share: each has a channel of its own.
 * Reconnects after an outage. Without subscribers it has no connection.
 */
export class WakeupListener {
  readonly #url: string;
  readonly #log: Logger;
  readonly #subscribers = new Map<string, Subscriber>();
  /** The open connection; null: none is open. */
  #connection: Listener | null = null;
  #running: { stopped: AbortController; ended: Promise<void> } | null = null;

  /** @param parts.url the URL of the database server. Listening takes a connection of its own */
  constructor({ url, log }: { url: string; log: Logger }) {
    this.#url = url;
    this.#log = log;
  }

  /** Subscribes to a channel that has no subscriber yet. @returns a function that unsubscribes */
  subscribe(channel: string, subscriber: Subscriber): () => Promise<void> {
    this.#subscribers.set(channel, subscriber);
    if (this.#running === null) this.#start();
    else if (this.#connection !== null) {
      const connection = this.#connection;
      // A lost connection is opened again, for all channels.
      this.#begin(connection, channel).catch(() => connection.close());
    }
    return async () => {
      this.#subscribers.delete(channel);
      if (this.#subscribers.size > 0 || this.#running === null) return;
      const { stopped, ended } = this.#running;
      this.#running = null;
      stopped.abort();
      await ended;
    };
  }

  #start(): void {
    const stopped = new AbortController();
    this.#running = { stopped, ended: this.#run(stopped.signal) };
  }

  async #run(signal: AbortSignal): Promise<void> {
    const onOutage = (error: unknown) => this.#log.warn({ err: error }, "wakeups: listening failed, retrying");
    const isTransient = () => !signal.aborted;
    while (!signal.aborted) {
      await retryWhile(isTransient, () => this.#listenOnce(signal), { signal, onOutage }).catch(() => {});
      await backoff(1, signal);
    }
  }

  /** Listens until the connection is lost or the signal fires. */
  async #listenOnce(signal: AbortSignal): Promise<void> {
    const connection = await openListener(this.#url, (channel, payload) =>
      this.#subscribers.get(channel)?.onPayload(payload),
    );
    this.#connection = connection;
    try {
      await Promise.all([...this.#subscribers.keys()].map((channel) => this.#begin(connection, channel)));
      await untilAborted(connection.lost, signal);
    } finally {
      this.#connection = null;
      await connection.close();
    }
  }

  async #begin(connection: Listener, channel: string): Promise<void> {
    await connection.listen(channel);
    await this.#subscribers.get(channel)?.onListening();
  }
}
