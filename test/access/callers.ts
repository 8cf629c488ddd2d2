import type { DescMethod } from "@bufbuild/protobuf";
import { ALL_GRANTS, SCOPES } from "../../src/domain/principal.ts";
import type { Grants } from "../../src/domain/principal.ts";
import type { CredentialState, Credentials } from "./credentials.ts";
import { CALL, expectedAnswer, GUARD } from "./rules.ts";
import type { Answer, Rule, Traits } from "./rules.ts";
import { OTHER_NAMESPACE, OWN } from "./served.ts";

/** A caller of the matrix. */
export interface Caller {
  name: string;
  /** Returns the rights of the caller; null: it has no valid credential. */
  grants(traits: Traits): Grants | null;
  /** Returns the headers of a call about a task. */
  headers(traits: Traits, taskId: string): Record<string, string>;
  /** Returns what the server must answer. */
  expected(method: DescMethod, traits: Traits): Answer;
}

/** The scopes that a task token can have. */
const OF_TASK_TOKENS = ["tasks:read", "tasks:cancel"] as const;

const WITHOUT_CREDENTIAL: Caller = {
  name: "without a token",
  grants: () => null,
  headers: () => ({}),
  expected: () => "UNAUTHENTICATED",
};

/** Returns all callers: without a valid credential, without a right that the call needs, and with all rights. */
export function callersOf(credentials: Credentials): Caller[] {
  const naming = (namespace: string) => ({ "spool-namespace": namespace });

  function invalid(state: CredentialState): Caller {
    const authorization = credentials.issue({ ...ALL_GRANTS, name: state }, state);
    return { ...WITHOUT_CREDENTIAL, name: `whose token is ${state}`, headers: () => ({ authorization }) };
  }

  function valid(
    name: string,
    grants: Partial<Grants> | ((traits: Traits, taskId: string) => Partial<Grants>),
    {
      guard = GUARD.passes,
      call = CALL.isRight,
      headers = {},
    }: { guard?: Rule; call?: Rule; headers?: Record<string, string> } = {},
  ): Caller {
    const issued = new Map<string, string>();
    const grantsOf = (traits: Traits, taskId: string): Grants => ({
      ...ALL_GRANTS,
      ...(typeof grants === "function" ? grants(traits, taskId) : grants),
    });
    return {
      name,
      grants: (traits) => grantsOf(traits, ""),
      headers(traits, taskId) {
        const wanted = grantsOf(traits, taskId);
        const key = JSON.stringify(wanted);
        const authorization = issued.get(key) ?? credentials.issue({ ...wanted, name }, "valid");
        issued.set(key, authorization);
        return { authorization, ...headers };
      },
      expected: (method, traits) => expectedAnswer(method, traits, { grants: grantsOf(traits, ""), guard, call }),
    };
  }

  const elsewhere = { namespaces: [OTHER_NAMESPACE] };
  const tokenFor = (taskId: string) => ({ scopes: OF_TASK_TOKENS, taskId });
  const more = { labels: { ...OWN.labels, more: "" } };
  return [
    WITHOUT_CREDENTIAL,
    invalid("wrong"),
    invalid("expired"),
    invalid("revoked"),
    ...SCOPES.map((scope) => valid(`without ${scope}`, { scopes: SCOPES.filter((each) => each !== scope) })),
    valid("with only the scopes of the call", ({ scopes }) => ({ scopes })),
    valid("of another namespace", elsewhere, { call: CALL.isOfOtherNamespace }),
    valid("of another namespace that names this one", elsewhere, {
      guard: GUARD.deniesNamespace,
      headers: naming(OWN.namespace),
    }),
    valid("that names a missing namespace", {}, { guard: GUARD.hasNoNamespace, headers: naming("missing") }),
    valid("that names no valid namespace", {}, { guard: GUARD.refusesHeader, headers: naming("no name") }),
    valid("of several namespaces that names none", { namespaces: ["a", "b"] }, { guard: GUARD.refusesHeader }),
    valid("with another label", { labels: { team: "other" } }, { call: CALL.hasOtherLabel }),
    valid("with one more label", more, { call: CALL.lacksLabel }),
    valid("with the label", { labels: OWN.labels }, { call: CALL.hasLabel }),
    valid("with another kind", { kinds: ["other*"] }, { call: CALL.isOfOtherKind }),
    valid("with the kind", { kinds: ["own.*"] }),
    valid("with a token for another task", tokenFor(crypto.randomUUID()), {
      guard: GUARD.deniesManyTasks,
      call: CALL.isOfOtherTask,
    }),
    valid("with a token for this task", (_, taskId) => tokenFor(taskId), { guard: GUARD.deniesManyTasks }),
    valid("with all rights", {}),
    valid("with all rights that names the namespace", {}, { headers: naming(OWN.namespace) }),
  ];
}
