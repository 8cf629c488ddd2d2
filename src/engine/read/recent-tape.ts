import type { TaskStatus } from "../../domain/task.ts";
import { Subscribers } from "./subscribers.ts";
import { TapeRing } from "./tape-ring.ts";
import type { TimingWheel } from "./timing-wheel.ts";

/** A tape in memory: its status and last events as far as known, and its followers. */
export class RecentTape {
  /** null until a commit or a read reports it. */
  status: TaskStatus | null = null;
  /** Whether the task was removed. If so, memory answers nothing, and readers get the error of the store. */
  isRemoved = false;
  readonly ring = new TapeRing();
  readonly subscribers: Subscribers;

  constructor(wheel: TimingWheel) {
    this.subscribers = new Subscribers(wheel);
  }

  get lastSeq(): bigint {
    return this.ring.lastSeq;
  }
}
