import { Draining } from "../../domain/errors.ts";

/** Notifies every open call and every later call, once each, that the server is draining. */
export class Drain {
  readonly #listeners = new Set<(reason: Draining) => void>();
  #begun = false;

  /**
   * Calls the listener when the drain begins, or at once if it has begun.
   *
   * @returns a function that removes the listener
   */
  onBegin(listener: (reason: Draining) => void): () => void {
    if (this.#begun) listener(new Draining());
    else this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  begin(): void {
    this.#begun = true;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener(new Draining());
  }
}
