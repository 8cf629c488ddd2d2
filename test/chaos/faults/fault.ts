import type { SeededRandom } from "../../fault/support/random.ts";
import type { FaultLine } from "../history.ts";
import type { Guard } from "../target/guard.ts";
import type { OwnService, Target } from "../target/target.ts";
import type { CrowdProcesses } from "../workload/crowd-processes.ts";

/** Faults of one lane never overlap: they could undo each other. */
export const LANES = ["servers", "workers", "callers", "databases", "links", "commits", "namespaces"] as const;
export type Lane = (typeof LANES)[number];

/** What a fault needs while it lasts. */
export interface FaultContext {
  readonly target: Target;
  /** The processes of the callers and followers. */
  readonly crowds: readonly CrowdProcesses[];
  readonly guard: Guard;
  readonly random: SeededRandom;
  /** Waits for a random time, in ms. Returns early at the end of the run. */
  hold(minMs: number, maxMs: number): Promise<void>;
  /** Fires when the run ends: the fault must be healed at once. */
  readonly over: AbortSignal;
}

/** What the history says of a fault: what was hit. */
export type FaultDetails = FaultLine["details"];

/** A fault, a file of its own. Another fault is another file, and a line in `all-faults.ts`. */
export interface Fault {
  readonly name: string;
  readonly lane: Lane;
  /** Whether the target can have the fault. */
  isPossible(target: Target): boolean;
  /**
   * Injects the fault, and heals it before it returns or throws.
   *
   * @returns null: there was nothing to hit
   */
  inject(context: FaultContext): Promise<FaultDetails | null>;
}

/** Defines a fault of a service that the run itself has started. */
export function faultOfService({
  name,
  lane,
  isPossible = () => true,
  inject,
}: Pick<Fault, "name" | "lane"> & {
  isPossible?: (service: OwnService) => boolean;
  inject: (service: OwnService, context: FaultContext) => Promise<FaultDetails | null>;
}): Fault {
  return {
    name,
    lane,
    isPossible: ({ service }) => service !== null && isPossible(service),
    inject: (context) => inject(context.target.service!, context),
  };
}
