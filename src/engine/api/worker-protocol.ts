import type { Validation } from "../../domain/attempt.ts";
import type { SpoolError } from "../../domain/errors.ts";
import type { NewEvent, TaskFailure } from "../../domain/event.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { KindOffer } from "../../domain/session.ts";
import type { Task } from "../../domain/task.ts";

// The messages between a worker and the engine, without the wire format. docs/workers.md describes the protocol.

export interface AttemptRef {
  taskId: string;
  attempt: number;
}

export interface WorkerKind extends KindOffer {
  /** Whether an interrupted attempt may be run again. */
  resumable: boolean;
}

export interface WorkerHello {
  kinds: readonly WorkerKind[];
  capacity: number;
  /** The token from an earlier stream; null: open a new session. */
  resumeToken: string | null;
  /** The attempts that the worker still runs from an earlier stream. */
  running: readonly AttemptRef[];
  host: string;
  pid: number;
  /** Whether the worker drains: it is assigned no more tasks. */
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
    /** The worker stops, and releases the task. */
    | { type: "released" };
}

export interface WorkerChecked {
  taskId: string;
  validation: Validation;
}

export interface Welcome {
  sessionId: string;
  resumeToken: string;
  resumed: boolean;
  /** Of the attempts in the worker's Hello, those that the worker still owns. */
  held: readonly (AttemptRef & { appended: bigint })[];
  heartbeatMs: number;
  leaseMs: number;
}

/** A message to a worker. */
export type MessageToWorker =
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

export type Send = (message: MessageToWorker) => void;
