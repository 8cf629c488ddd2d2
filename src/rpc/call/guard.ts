import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { getOption, hasOption } from "@bufbuild/protobuf";
import { fromScopeValue } from "../../codec/scope.ts";
import { authorize } from "../../domain/access.ts";
import type { RequiredAccess } from "../../domain/access.ts";
import { Unauthenticated } from "../../domain/errors.ts";
import { isRestricted } from "../../domain/principal.ts";
import { NO_LIMITS } from "../../domain/tenant-limits.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import { restrictEngine } from "../../engine/api/restricted-engine.ts";
import type { TaskEngine } from "../../engine/api/task-engine.ts";
import { access } from "../../gen/spool/v1/access_pb.ts";
import type { Identity } from "./identity.ts";
import { remembered } from "./remembered.ts";
import type { CallContext, ServiceHandlers } from "./service.ts";
import { areStreamsLimited } from "./tenant-limits.ts";
import type { Tenant, TenantLimits } from "./tenant-limits.ts";

/** The header with which a caller of several namespaces chooses one. */
export const NAMESPACE_HEADER = "spool-namespace";

/** The engines of a server, one for each namespace. */
export interface Engines {
  /** The namespace of callers that may use it and have chosen none. */
  readonly defaultNamespace: string;
  /** @throws NamespaceNotFound */
  of(namespace: string): TaskEngine;
  limitsOf(namespace: string): Limits;
}

type Handlers = Record<string, (request: unknown, context: CallContext) => unknown>;

/**
 * Wraps the handlers of a service so that each call is authorized by the option `access` of its method, and is handled
 * by handlers of the engine of its namespace. If the caller sees only some tasks, so does this engine. No handler checks
 * rights itself.
 *
 * @param handlersOf creates the handlers over an engine; called once for each engine
 */
export function guardService<Service extends DescService>(
  service: Service,
  handlersOf: (engine: TaskEngine, namespace: string) => ServiceHandlers<Service>,
  { engines, limits }: { engines: Engines; limits: TenantLimits },
): ServiceHandlers<Service> {
  const made = new WeakMap<TaskEngine, Handlers>();
  const restricted = new WeakMap<Identity, WeakMap<TaskEngine, TaskEngine>>();

  const engineFor = (identity: Identity, namespace: string): TaskEngine => {
    const engine = engines.of(namespace);
    if (!isRestricted(identity.principal)) return engine;
    return remembered(
      remembered(restricted, identity, () => new WeakMap<TaskEngine, TaskEngine>()),
      engine,
      () => restrictEngine(engine, identity.principal),
    );
  };
  const guarded = service.methods.map((method) => {
    const required = requiredAccess(method);
    const name = method.localName;
    const handle = (request: unknown, context: CallContext) => {
      const { identity } = context;
      if (identity === undefined) throw new Unauthenticated("missing");
      const chosen = headerOf(context, NAMESPACE_HEADER);
      const namespace = authorize(identity.principal, required, { chosen, fallback: engines.defaultNamespace });
      const engine = engineFor(identity, namespace);
      const tenants: Tenant[] = [
        { of: "namespace", name: namespace, limits: engines.limitsOf(namespace) },
        { of: "principal", name: identity.principal.name, limits: identity.limits ?? NO_LIMITS },
      ];
      limits.admit(method, tenants);
      // TypeScript loses the mapped type of ServiceHandlers over a list of methods. The signatures above enforce it.
      const handlers = remembered(made, engine, () => handlersOf(engine, namespace) as unknown as Handlers);
      const answer = () => handlers[name]!(request, context);
      if (method.methodKind === "unary" || !areStreamsLimited(tenants)) return answer();
      return counted(answer as () => AsyncIterable<unknown>, () => limits.openStream(tenants));
    };
    // A handler of a unary call may throw at once, which its binding expects from an async function only.
    const isUnary = method.methodKind === "unary";
    return [name, isUnary ? async (request: unknown, context: CallContext) => handle(request, context) : handle];
  });
  return Object.fromEntries(guarded) as ServiceHandlers<Service>;
}

/** Counts a stream from its first read to its end. */
async function* counted(open: () => AsyncIterable<unknown>, count: () => Disposable): AsyncGenerator<unknown> {
  using _stream = count();
  yield* open();
}

/** Reads one header. `requestHeader` is a getter that builds all headers, so it is read only where there is no other way. */
function headerOf(context: CallContext, name: string): string | undefined {
  const { header } = context;
  return (header === undefined ? context.requestHeader.get(name) : header(name)) || undefined;
}

/** Returns what the proto requires of the callers of a method. @throws Error if the method has no option `access` */
export function requiredAccess(method: DescMethod): RequiredAccess {
  if (!hasOption(method, access)) throw new Error(`${method.parent.typeName}.${method.name} has no option (access)`);
  const { scopes, oneTask, wholeService } = getOption(method, access);
  return { scopes: scopes.map((value) => fromScopeValue(value)!), isForOneTask: oneTask, isForService: wholeService };
}
