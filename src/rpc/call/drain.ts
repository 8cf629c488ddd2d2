import { Draining } from "../../domain/errors.ts";

/** The end of a server, told once to every call that is open then and to every call that comes after. */
export class Drain {
  readonly #listeners = new Set<(reason: Draining) => void>();
  #begun = false;

  /**
   * Calls the listener when the drain begins: at once, if it has.
   *
   * @returns takes the listener off again
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
