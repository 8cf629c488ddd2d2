import type { CuttingRelay } from "../../fault/support/cutting-relay.ts";
import type { Replica } from "../../fault/support/replicas.ts";
import type { Scene } from "../../fault/support/troubles.ts";
import type { CrewMember } from "../../fault/support/worker-crew.ts";
import type { CuttingProxy } from "../../support/cutting-proxy.ts";
import type { GrpcTransport } from "../../../src/client/transport/grpc-transport.ts";
import type { Store } from "../../../src/store/database.ts";
import type { KindsOfNamespace } from "../workload/planned-start.ts";
import type { Guard } from "./guard.ts";
import type { PromotableServer } from "./promotable-server.ts";

/** What a run attacks. */
export interface Target extends AsyncDisposable {
  /** The ways of the callers to the servers, by the names of the servers. */
  readonly links: ReadonlyMap<string, CuttingRelay>;
  readonly namespaces: readonly TargetNamespace[];
  /** The processes of a service that the run itself has started. null: it runs elsewhere, as with `--against`. */
  readonly service: OwnService | null;
  /** What the run leaves out on this machine, and why. */
  readonly gaps: readonly string[];
}

export interface TargetNamespace {
  /** In the history. */
  readonly name: string;
  /** For the calls. undefined: that of the token. */
  readonly called: string | undefined;
  readonly kinds: KindsOfNamespace;
}

/** A server of the service, by its name in the history. */
export interface OwnServer {
  readonly name: string;
  readonly replica: Replica;
}

/** A Postgres server of the service. */
export interface OwnPostgres {
  readonly name: string;
  /** null: its tables are on a volume that a standby would not have. */
  readonly promotable: PromotableServer | null;
  /** How the troubles of the fault scenarios see it. */
  readonly scene: Scene;
  /** The way of all servers to it. */
  readonly proxy: CuttingProxy;
}

export interface OwnService {
  readonly servers: readonly OwnServer[];
  readonly workers: readonly CrewMember[];
  /** The way of the workers to the servers. */
  readonly workerLink: CuttingRelay;
  readonly databases: readonly OwnPostgres[];
  /** The first shard, and its URL. */
  readonly home: Store;
  readonly homeUrl: string;
  readonly shards: readonly string[];
  /** Calls of an operator, over no link that is cut. */
  readonly admin: GrpcTransport;
  /** Waits until some server serves each namespace, within a minute. */
  untilServed(): Promise<void>;
  /** The server with a clock that can be stepped. null: no libfaketime on this machine. */
  readonly clock: { readonly server: string; step(ms: number): void } | null;
  readonly guard: Guard;
}
