import type { Validation } from "../../domain/attempt.ts";
import {
  checkDetails,
  checkResult,
  cutMessage,
  isReason,
  logBody,
  partialBody,
  progressBody,
} from "../../domain/emission.ts";
import { InvalidArgument } from "../../domain/errors.ts";
import { newEvent } from "../../domain/event.ts";
import type { NewEvent, TaskFailure } from "../../domain/event.ts";
import {
  APPEND_EVENTS_MAX,
  ATTEMPTS_MAX,
  ERROR_REASON_CHARS_MAX,
  EXCLUSIVE_KEY_BYTES_MAX,
  WORKER_CAPACITY_MAX,
  WORKER_HOST_CHARS_MAX,
  WORKER_KINDS_MAX,
  WORKER_RUNNING_MAX,
} from "../../domain/limits.ts";
import type { SeriesOptions } from "../../domain/series.ts";
import type {
  WorkerAppend,
  WorkerChecked,
  WorkerFinish,
  WorkerHello,
  WorkerKind,
} from "../../engine/api/worker-protocol.ts";
import { fromLogLevelValue } from "../../codec/log-level.ts";
import { fromSeriesModeValue } from "../../codec/series.ts";
import type { Partial$ as PartialMessage } from "../../gen/spool/v1/event_pb.ts";
import type { TaskError } from "../../gen/spool/v1/task_pb.ts";
import type {
  Append,
  Checked,
  Finish,
  Hello,
  KindOffer,
  NewEvent as NewEventMessage,
} from "../../gen/spool/v1/worker_service_pb.ts";
import { Checks, inFigures, violatedWithin } from "./checks.ts";
import { retryPolicy } from "./parse.ts";

// Converts messages of workers to validated values. Each function throws InvalidArgument, with the proto name of the
// wrong field. No part of an invalid message is used.

export function parseHello(hello: Hello): WorkerHello {
  const checks = new Checks();
  const { kinds, running } = hello;
  if (kinds.length < 1 || kinds.length > WORKER_KINDS_MAX) {
    checks.refuse("kinds", `must have 1 to ${WORKER_KINDS_MAX} entries`);
  }
  if (running.length > WORKER_RUNNING_MAX) {
    checks.refuse("running", `must have at most ${inFigures(WORKER_RUNNING_MAX)} entries`);
  }
  const few = kinds.slice(0, WORKER_KINDS_MAX);
  const names = new Set<string>();
  few.forEach(({ name }, index) => {
    if (names.has(name)) checks.refuse(`kinds[${index}].name`, "must be unique");
    names.add(name);
  });
  return checks.passed({
    kinds: few.map((kind, index) => workerKind(checks, `kinds[${index}]`, kind)),
    capacity: checks.integer("capacity", hello.capacity, [1, WORKER_CAPACITY_MAX]),
    resumeToken: hello.resumeToken || null,
    running: running.slice(0, WORKER_RUNNING_MAX).map(({ taskId, attempt }, index) => ({
      taskId: checks.taskId(taskId, `running[${index}].task_id`),
      attempt,
    })),
    host: checks.text("host", hello.host, WORKER_HOST_CHARS_MAX),
    pid: hello.pid,
    isDraining: hello.draining,
  });
}

export function parseAppend({ taskId, attempt, firstNumber, events }: Append): WorkerAppend {
  const checks = new Checks();
  const id = checks.taskId(taskId);
  if (firstNumber < 1n) checks.refuse("first_number", "must be 1 or more");
  if (events.length < 1 || events.length > APPEND_EVENTS_MAX) {
    checks.refuse("events", `must have 1 to ${inFigures(APPEND_EVENTS_MAX)} entries`);
  }
  checks.passed(id);
  return { taskId: id, attempt, firstNumber, events: events.map(toNewEvent) };
}

export function parseFinish({ taskId, attempt, number, outcome, noRetry }: Finish): WorkerFinish {
  const checks = new Checks();
  const ref = { taskId: checks.taskId(taskId), attempt, number };
  if (number < 1n) checks.refuse("number", "must be 1 or more");
  if (outcome.case === undefined) checks.refuse("outcome", "must be result, error or released");
  checks.passed(ref);
  switch (outcome.case) {
    case "result":
      return { ...ref, end: { type: "result", result: checkResult(outcome.value) } };
    case "error":
      return { ...ref, end: { type: "error", failure: failureOf(outcome.value), isFinal: noRetry } };
    default:
      return { ...ref, end: { type: "released" } };
  }
}

export function parseChecked({ taskId, outcome }: Checked): WorkerChecked {
  const checks = new Checks();
  const id = checks.taskId(taskId);
  const key = outcome.case === "exclusiveKey" ? outcome.value : "";
  checks.text("exclusive_key", key, EXCLUSIVE_KEY_BYTES_MAX);
  if (Buffer.byteLength(key) > EXCLUSIVE_KEY_BYTES_MAX) {
    checks.refuse("exclusive_key", `must have at most ${inFigures(EXCLUSIVE_KEY_BYTES_MAX)} bytes`);
  }
  checks.passed(id);
  const validation: Validation =
    outcome.case === "error" ? { failure: failureOf(outcome.value) } : { exclusiveKey: key || null };
  return { taskId: id, validation };
}

function workerKind(checks: Checks, field: string, offer: KindOffer): WorkerKind {
  const { maxAttempts } = offer;
  return {
    name: checks.kind(`${field}.name`, offer.name),
    retry: {
      ...(maxAttempts !== 0 && {
        maxAttempts: checks.integer(`${field}.max_attempts`, maxAttempts, [1, ATTEMPTS_MAX]),
      }),
      ...retryPolicy(checks, `${field}.retry_policy`, offer.retryPolicy),
    },
    resumable: offer.resumable,
    isExclusive: offer.checks,
  };
}

function toNewEvent({ body }: NewEventMessage, index: number): NewEvent {
  try {
    switch (body.case) {
      case "progress": {
        const { phase, current, total, detail } = body.value;
        return newEvent("progress", progressBody(phase, Number(current), Number(total), detail));
      }
      case "log":
        // logBody rejects an unknown level.
        return newEvent("log", logBody(fromLogLevelValue(body.value.level)!, body.value.message));
      case "partial":
        return newEvent("partial", partialBody(body.value.kind, body.value.payload ?? {}, seriesOf(body.value)));
      default:
        throw new InvalidArgument([{ field: "body", description: "must be progress, log or partial" }]);
    }
  } catch (error) {
    throw violatedWithin(`events[${index}]`, error);
  }
}

/** partialBody rejects an unknown mode. */
function seriesOf({ series }: PartialMessage): SeriesOptions | undefined {
  return series && { name: series.name, mode: fromSeriesModeValue(series.mode)!, field: series.field };
}

function failureOf({ reason, message, details }: TaskError): TaskFailure {
  if (!isReason(reason)) {
    const description = `must be UPPER_SNAKE_CASE, at most ${ERROR_REASON_CHARS_MAX} characters`;
    throw new InvalidArgument([{ field: "error.reason", description }]);
  }
  return { reason, message: cutMessage(message), ...(details && { details: checkDetails(details) }) };
}
