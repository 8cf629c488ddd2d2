import type { Finding } from "../../domain/attempt.ts";
import type { SpoolError } from "../../domain/errors.ts";
import type { NewEvent, TaskFailure } from "../../domain/event.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { KindOffer } from "../../domain/session.ts";
import type { Task } from "../../domain/task.ts";

// The messages between a worker and the engine, without the wire format. docs/workers.md has the protocol by state.

export interface AttemptRef {
  taskId: string;
  attempt: number;
}

export interface WorkerKind extends KindOffer {
  /** Whether an attempt that was cut short may be made again. */
  resumable: boolean;
}

export interface WorkerHello {
  kinds: readonly WorkerKind[];
  capacity: number;
  /** Of an earlier stream; null: a new session. */
  resumeToken: string | null;
  /** What it holds of an earlier stream. */
  running: readonly AttemptRef[];
  host: string;
  pid: number;
  /** It is given no more tasks. */
  isDraining: boolean;
}

export interface WorkerAppend extends AttemptRef {
  firstNumber: bigint;
  events: readonly NewEvent[];
}

export interface WorkerFinish extends AttemptRef {
  number: bigint;
  end:
    | { type: "result"; result: JsonObject }
    | { type: "error"; failure: TaskFailure; isFinal: boolean }
    /** The worker stops. */
    | { type: "released" };
}

export interface WorkerChecked {
  taskId: string;
  finding: Finding;
}

export interface Welcome {
  sessionId: string;
  resumeToken: string;
  resumed: boolean;
  /** Of what it said it runs: what it owns still. */
  held: readonly (AttemptRef & { appended: bigint })[];
  heartbeatMs: number;
  leaseMs: number;
}

/** A message to a worker. */
export type WorkerNotice =
  | ({ type: "welcome" } & Welcome)
  | { type: "assign"; task: Task; checkpoint: JsonObject | null; traceparent: string | null }
  | ({ type: "appended"; through: bigint } & AttemptRef)
  | ({ type: "finished" } & AttemptRef)
  | ({ type: "stop"; because: "cancel" | "deadline"; graceMs: number } & AttemptRef)
  | ({ type: "lease_lost" } & AttemptRef)
  | ({ type: "refused"; error: SpoolError; appended: bigint } & AttemptRef)
  | { type: "check"; taskId: string; kind: string; params: JsonObject }
  | { type: "heartbeat" }
  | { type: "drain" }
  | { type: "drained" };

export type Send = (notice: WorkerNotice) => void;
