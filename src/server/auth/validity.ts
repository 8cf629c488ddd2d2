import { Unauthenticated } from "../../domain/errors.ts";
import type { Identity } from "../../rpc/call/identity.ts";

/** Why a credential is no longer valid. */
type Problem = "expired" | "revoked";

type Listener = (reason: Unauthenticated) => void;

/**
 * The longest run of a timer. A timer outlasts the calls of a caller by this time at most, and is not set for each of
 * them.
 */
const TIMER_MS = 60_000;

interface ValidityOptions {
  /** null: never. */
  expiresAt?: Date | null;
  /** What the credential relies on, such as the entry of the access file that admits its issuer. */
  parent?: Validity | null;
  /** Called when the first listener is added, and when the last one is removed. */
  onUse?: (isUsed: boolean) => void;
}

/**
 * How long a credential is valid. Open calls listen, so that they end when it expires or is revoked.
 */
export class Validity implements Pick<Identity, "onInvalid"> {
  readonly #expiresAtMs: number;
  readonly #parent: Validity | null;
  readonly #onUse: (isUsed: boolean) => void;
  readonly #listeners = new Set<Listener>();
  #timer: NodeJS.Timeout | undefined;
  #ended: Problem | null = null;

  constructor({ expiresAt = null, parent = null, onUse = () => {} }: ValidityOptions = {}) {
    this.#expiresAtMs = expiresAt?.getTime() ?? Infinity;
    this.#parent = parent;
    this.#onUse = onUse;
  }

  /** When the credential expires, or what it relies on. null: never. */
  get expiresAt(): Date | null {
    const own = this.#expiresAtMs === Infinity ? null : new Date(this.#expiresAtMs);
    const inherited = this.#parent?.expiresAt ?? null;
    return own === null || (inherited !== null && inherited < own) ? inherited : own;
  }

  /** Why the credential is not valid; null: it is valid. */
  get problem(): Problem | null {
    if (this.#ended !== null) return this.#ended;
    return Date.now() >= this.#expiresAtMs ? "expired" : (this.#parent?.problem ?? null);
  }

  /** @throws Unauthenticated if the credential is not valid */
  check(): void {
    const { problem } = this;
    if (problem !== null) throw new Unauthenticated(problem);
  }

  /** Ends the credential, and tells its listeners. */
  end(problem: Problem): void {
    if (this.#ended !== null) return;
    this.#ended = problem;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    clearTimeout(this.#timer);
    this.#onUse(false);
    const reason = new Unauthenticated(problem);
    for (const listener of listeners) listener(reason);
  }

  onInvalid(listener: Listener): () => void {
    const { problem } = this;
    if (problem !== null) {
      listener(new Unauthenticated(problem));
      return () => {};
    }
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) {
      this.#onUse(true);
      this.#watchExpiry();
    }
    const forget = this.#parent?.onInvalid(listener);
    return () => {
      forget?.();
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#onUse(false);
    };
  }

  #watchExpiry(): void {
    if (this.#expiresAtMs === Infinity || this.#timer !== undefined) return;
    const leftMs = this.#expiresAtMs - Date.now();
    if (leftMs <= 0) return this.end("expired");
    const check = () => {
      this.#timer = undefined;
      if (this.#listeners.size > 0) this.#watchExpiry();
    };
    this.#timer = setTimeout(check, Math.min(leftMs, TIMER_MS)).unref();
  }
}
