import { Draining, StoreUnavailable } from "../domain/errors.ts";
import type { Membership } from "./cluster/membership.ts";

/** How far the life of an engine has come, and what that allows. */
export class EngineState {
  /** null: before the start, and after the stop. */
  membership: Membership | null = null;
  hasStarted = false;
  /** Whether this process runs no new tasks. Other processes run the tasks that are started here. */
  isDraining = false;
  isStopped = false;
  readonly #mayMove: () => boolean;

  /** @param mayMove whether the namespace may move to another shard */
  constructor(mayMove: () => boolean = () => false) {
    this.#mayMove = mayMove;
  }

  /** @throws StoreUnavailable before the start, and if the namespace may have left the shard */
  assertReadable(): void {
    if (!this.hasStarted) throw new StoreUnavailable(new Error("the engine has not started"));
    // A move ends the sessions before it copies the last rows. What this process reads after that may be outdated.
    if (this.#mayMove()) this.#assertFresh();
  }

  /** @throws Draining; StoreUnavailable before the start, and while other servers may consider this process dead */
  assertJoined(): void {
    const hasLeft = this.isStopped || (this.isDraining && !this.membership?.session.hasPeers);
    if (hasLeft) throw new Draining();
    if (this.membership === null) throw new StoreUnavailable(new Error("the engine has not started"));
    this.#assertFresh();
  }

  #assertFresh(): void {
    const isLate = this.membership?.session.isFresh === false;
    if (isLate) throw new StoreUnavailable(new Error("the session was not renewed in time"));
  }
}
