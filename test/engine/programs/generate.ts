import { Choices } from "../../support/choices.ts";
import { isTerminal, Model } from "./model.ts";
import type { ModelTask } from "./model.ts";
import { NO_TASK } from "./program.ts";
import type { Call, EmittedEvent, Program, StartCall } from "./program.ts";

const CALLS = { min: 3, max: 14 };
const EVENTS: readonly EmittedEvent[] = ["progress", "log", "partial", "checkpoint"];

/** Returns the program of a seed. Most of its calls make sense in the state that the calls before have led to. */
export function generate(seed: number): Program {
  const choices = new Choices(seed);
  const model = new Model();
  const program: Call[] = [];
  const count = choices.between(CALLS.min, CALLS.max);
  while (program.length < count) {
    const call = program.length === 0 ? start(choices) : next(choices, model);
    model.answer(call);
    program.push(call);
  }
  return program;
}

function next(choices: Choices, model: Model): Call {
  const { tasks } = model;
  if (choices.chance(tasks.length < 4 ? 0.2 : 0.05)) return start(choices);
  if (choices.chance(0.08)) return list(choices);
  if (choices.chance(0.1)) return { call: "follow tasks", from: choices.of(["start", "now", "cursor", "cursor"]) };
  if (tasks.length === 0 || choices.chance(0.02)) return anyCall(choices, NO_TASK, 0);
  const task = choices.of(tasks);
  if (choices.chance(0.2)) return anyCall(choices, task.number, task.events.length);
  return sensible(choices, task);
}

function sensible(choices: Choices, task: ModelTask): Call {
  const { number } = task;
  if (task.status === "running") {
    const calls = ["emit", "emit", "emit", "fail", "end", "cancel", "read", "page", "follow", "checkpoint"] as const;
    return makeCall(choices, choices.of(calls), number, task.events.length);
  }
  const calls = isTerminal(task)
    ? (["read", "page", "follow", "result", "delete", "cancel"] as const)
    : (["read", "page", "follow", "result", "cancel", "delete"] as const);
  return makeCall(choices, choices.of(calls), number, task.events.length);
}

const ON_TASKS = ["emit", "checkpoint", "fail", "end", "cancel", "delete", "read", "page", "follow", "result"] as const;

function anyCall(choices: Choices, task: number, lastSeq: number): Call {
  return makeCall(choices, choices.of(ON_TASKS), task, lastSeq);
}

function makeCall(choices: Choices, call: (typeof ON_TASKS)[number], task: number, lastSeq: number): Call {
  switch (call) {
    case "emit": {
      const events = Array.from({ length: choices.of([1, 1, 2, 3, 5]) }, () => choices.of(EVENTS));
      return { call, task, events, value: choices.below(10) };
    }
    case "fail":
      return { call, task, reason: choices.of(["BROKEN", "TOO_LATE"]), isFinal: choices.chance(0.25) };
    case "end":
      return { call, task, value: choices.below(10) };
    case "cancel":
      return { call, task, reason: choices.of(["", "no longer needed"]), by: choices.of([null, "ann"]) };
    case "page":
      return { call, task, fromSeq: choices.between(1, lastSeq + 3), limit: choices.of([1, 2, 3, 100]) };
    case "follow":
      return { call, task, fromSeq: choices.between(1, lastSeq + 2) };
    case "checkpoint":
    case "delete":
    case "read":
    case "result":
      return { call, task };
  }
}

function start(choices: Choices): StartCall {
  const kind = choices.of(["plain", "plain", "exclusive"] as const);
  return {
    call: "start",
    kind,
    key: choices.of(["k0", "k0", "k1"]),
    value: choices.of([0, 0, 0, 1]),
    label: choices.of(["a", "a", "b"]),
    requestId: choices.of([null, "r0", "r1"]),
    runAt: choices.of(["none", "none", "none", "none", "past", "future"]),
    maxAttempts: choices.of([null, null, 1, 2, 3]),
    // After a short wait, a task of a key may be due again before the key is given to another task, or after that.
    backoff: kind === "exclusive" ? "long" : choices.of(["short", "long"]),
  };
}

function list(choices: Choices): Call {
  return {
    call: "list",
    limit: choices.of([1, 2, 100]),
    statuses: choices.of([[], [], ["running"], ["pending", "succeeded"], ["failed", "cancelled"]]),
    kinds: choices.of([[], [], ["exclusive"], ["plain"]]),
    label: choices.of([null, null, "a"]),
  };
}
