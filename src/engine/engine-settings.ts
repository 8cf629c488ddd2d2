import type { Limits } from "../domain/tenant-limits.ts";
import type { MembershipSettings } from "./cluster/membership.ts";
import type { FollowOrigin } from "./read/follow-origin.ts";

/** The settings of the engine of a namespace. */
export interface EngineSettings extends MembershipSettings {
  /** Tasks of other namespaces read as not found. */
  namespace: string;
  /** What to do with a start whose kind no live process runs. */
  unknownKinds: "wait" | "refuse";
  /** Returns the current limits of the namespace. */
  limits: () => Limits;
  /** Whether the namespace may move to another shard. Default: no. */
  mayMove?: () => boolean;
  /** Where the namespace was before. Default: it was never moved. */
  origin?: FollowOrigin;
}
