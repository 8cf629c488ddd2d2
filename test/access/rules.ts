import { getOption, hasOption } from "@bufbuild/protobuf";
import type { DescMessage, DescMethod } from "@bufbuild/protobuf";
import type { Reason } from "../../src/domain/errors.ts";
import type { Grants, Scope } from "../../src/domain/principal.ts";
import { access, ScopeSchema } from "../../src/gen/spool/v1/access_pb.ts";
import type { Scope as ScopeValue } from "../../src/gen/spool/v1/access_pb.ts";

/** What the proto says about a call. */
export interface Traits {
  scopes: readonly Scope[];
  /** Whether a token for one task can make the call. */
  isForOneTask: boolean;
  /** Whether only callers with rights in all namespaces and for all tasks can make the call. */
  isForService: boolean;
  /** Whether the request names a task, a kind, labels or a namespace. */
  namesTask: boolean;
  namesKind: boolean;
  namesLabels: boolean;
  namesNamespace: boolean;
}

/** What a call answers: OK, or the reason of its error. */
export type Answer = "OK" | Reason;

/** Calls that cannot be limited to the labels of a caller. */
const COVER_ALL_LABELS: ReadonlySet<string> = new Set(["GetActivity", "Work"]);
/** Calls that cover all tasks of a namespace, whatever their kinds and labels. */
const COVER_ALL_TASKS: ReadonlySet<string> = new Set(["FollowAuditLog"]);
/** What a call answers to a caller with all rights, if it is not OK. The token to revoke does not exist. */
const RIGHT: Readonly<Record<string, Answer>> = { RevokeToken: "TOKEN_NOT_FOUND" };

/** Reads the traits of a call from its descriptor. @throws Error if the method has no option `access` */
export function traitsOf(method: DescMethod): Traits {
  if (!hasOption(method, access)) throw new Error(`${method.name} has no option (access)`);
  const { scopes, oneTask, wholeService } = getOption(method, access);
  const names = fieldsOf(method.input);
  return {
    scopes: scopes.map(scopeName),
    isForOneTask: oneTask,
    isForService: wholeService,
    namesTask: method.input.field["taskId"] !== undefined,
    namesKind: names.has("kind") || names.has("kinds"),
    namesLabels: names.has("labels"),
    namesNamespace: names.has("namespaces") || method.name === "SetNamespace",
  };
}

/** TASKS_READ is `tasks:read`. */
function scopeName(value: ScopeValue): Scope {
  return ScopeSchema.value[value]!.name.replace("SCOPE_", "").toLowerCase().replace("_", ":") as Scope;
}

/** Returns the names of the fields that a caller may set, at any depth. */
function fieldsOf(message: DescMessage, seen = new Set<DescMessage>()): Set<string> {
  const names = new Set<string>();
  if (seen.has(message)) return names;
  seen.add(message);
  for (const field of message.fields) {
    names.add(field.name);
    if (field.message?.typeName.startsWith("spool.v1.")) {
      for (const name of fieldsOf(field.message, seen)) names.add(name);
    }
  }
  return names;
}

/** Returns an answer that the rule decides; null: the rule does not apply. */
export type Rule = (traits: Traits, method: DescMethod) => Answer | null;

/** What the guard answers, whatever the request says; null: it passes the call on. */
export const GUARD = {
  passes: () => null,
  deniesNamespace: () => "PERMISSION_DENIED",
  hasNoNamespace: () => "NAMESPACE_NOT_FOUND",
  refusesHeader: () => "INVALID_ARGUMENT",
  deniesManyTasks: ({ isForOneTask }) => (isForOneTask ? null : "PERMISSION_DENIED"),
} as const satisfies Record<string, Rule>;

/** What the call answers to callers whose rights do not include what the request names; null: as to all others. */
export const CALL = {
  isRight: () => null,
  /** The namespace is another one, which the caller has not chosen by the header. */
  isOfOtherNamespace: ({ namesTask, namesNamespace }) =>
    namesNamespace ? "PERMISSION_DENIED" : namesTask ? "TASK_NOT_FOUND" : null,
  isOfOtherKind: ({ namesTask, namesKind }) => (namesKind ? "PERMISSION_DENIED" : namesTask ? "TASK_NOT_FOUND" : null),
  isOfOtherTask: () => "TASK_NOT_FOUND",
  hasOtherLabel: ({ namesTask, namesLabels }, method) =>
    namesLabels || coversAllLabels(method) ? "PERMISSION_DENIED" : namesTask ? "TASK_NOT_FOUND" : null,
  /** The task lacks one of the caller's labels. Starts and filters get the label; a token cannot be without it. */
  lacksLabel: ({ namesTask, namesLabels, namesNamespace }, method) =>
    (namesLabels && namesNamespace) || coversAllLabels(method)
      ? "PERMISSION_DENIED"
      : namesTask
        ? "TASK_NOT_FOUND"
        : null,
  hasLabel: (_, method) => (coversAllLabels(method) ? "PERMISSION_DENIED" : null),
} as const satisfies Record<string, Rule>;

const coversAllLabels = ({ name }: DescMethod): boolean => COVER_ALL_LABELS.has(name);

/** Returns the answer that a caller with a valid credential must get. The first rule that applies decides. */
export function expectedAnswer(
  method: DescMethod,
  traits: Traits,
  caller: { grants: Grants; guard: Rule; call: Rule },
): Answer {
  const { grants } = caller;
  if (traits.scopes.some((scope) => !grants.scopes.includes(scope))) return "PERMISSION_DENIED";
  if (traits.isForService && !hasWholeService(grants)) return "PERMISSION_DENIED";
  const guarded = caller.guard(traits, method);
  if (guarded !== null) return guarded;
  if (COVER_ALL_TASKS.has(method.name) && !seesAllTasks(grants)) return "PERMISSION_DENIED";
  return caller.call(traits, method) ?? RIGHT[method.name] ?? "OK";
}

/** Whether a caller has its rights in all namespaces, and for all tasks. */
export function hasWholeService(grants: Grants): boolean {
  return grants.namespaces.includes("*") && seesAllTasks(grants);
}

function seesAllTasks({ kinds, labels, taskId }: Grants): boolean {
  return kinds.includes("*") && Object.keys(labels).length === 0 && taskId === null;
}
