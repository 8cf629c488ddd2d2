import { Subscriber } from "./subscription.ts";
import type { Subscription } from "./subscription.ts";
import type { TimingWheel } from "./timing-wheel.ts";

/** Those who wait for the same news, such as the followers of one tape. */
export class Subscribers {
  readonly #wheel: TimingWheel;
  readonly #subscribers = new Set<Subscriber>();

  /** @param wheel times out the waits of all subscriptions */
  constructor(wheel: TimingWheel) {
    this.#wheel = wheel;
  }

  get size(): number {
    return this.#subscribers.size;
  }

  /** @param onDispose called when the subscription has ended */
  subscribe(signal: AbortSignal, onDispose: () => void = () => {}): Subscription {
    return new Subscriber({ others: this.#subscribers, signal, wheel: this.#wheel, onDispose });
  }

  notifyAll(): void {
    for (const subscriber of this.#subscribers) subscriber.wake();
  }
}
