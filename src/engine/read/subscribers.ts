import { Subscriber } from "./subscription.ts";
import type { TimingWheel } from "./timing-wheel.ts";

/** The subscribers to the same commits, such as the followers of one tape. */
export class Subscribers {
  readonly #wheel: TimingWheel;
  readonly #subscribers = new Set<Subscriber>();

  /** @param wheel ends the waits of all subscriptions at their deadlines */
  constructor(wheel: TimingWheel) {
    this.#wheel = wheel;
  }

  get size(): number {
    return this.#subscribers.size;
  }

  /** Adds a subscriber. @param onDispose called when the subscription has ended */
  subscribe(signal: AbortSignal, onDispose: () => void = () => {}): Subscriber {
    return new Subscriber({ subscribers: this.#subscribers, signal, wheel: this.#wheel, onDispose });
  }

  /** Ends the waits of all subscribers with an error. */
  endAll(reason: Error): void {
    for (const subscriber of this.#subscribers) subscriber.end(reason);
  }

  /** Wakes all subscribers. */
  notifyAll(): void {
    for (const subscriber of this.#subscribers) subscriber.wake();
  }
}
