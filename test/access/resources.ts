import type { Grants, Scope } from "../../src/domain/principal.ts";
import type { Caller } from "./callers.ts";
import { callHttp, callPath } from "./endpoints.ts";
import type { Outcome } from "./endpoints.ts";
import { hasWholeService } from "./rules.ts";
import type { Traits } from "./rules.ts";

/** What a server serves besides calls. */
interface Resource {
  name: string;
  /** The scopes that the caller needs; null: the resource is open to all. */
  scopes: readonly Scope[] | null;
  /** Whether the caller needs its scopes for the whole service. Default: no. */
  isForService?: boolean;
  call(headers: Record<string, string>): Promise<Outcome>;
}

const REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/** A ServerReflectionRequest with list_services. */
const LIST_SERVICES = Buffer.of(0x3a, 0x01, 0x2a);

function resourcesOf({ grpcPort, url }: { grpcPort: number; url: string }): Resource[] {
  const get = (path: string) => (headers: Record<string, string>) => callHttp(url + path, { headers });
  const grpc = (path: string, bytes: Buffer) => (headers: Record<string, string>) =>
    callPath(grpcPort, path, { bytes, headers, isOpen: false });
  return [
    { name: "GET /healthz", scopes: null, call: get("/healthz") },
    { name: "GET /readyz", scopes: null, call: get("/readyz") },
    { name: "GET /metrics", scopes: ["metrics"], call: get("/metrics") },
    { name: "GET /log-level", scopes: ["admin"], isForService: true, call: get("/log-level") },
    {
      name: "PUT /log-level",
      scopes: ["admin"],
      isForService: true,
      call: (headers) => callHttp(`${url}/log-level`, { method: "PUT", headers, body: '{"level":"error"}' }),
    },
    { name: "health over gRPC", scopes: null, call: grpc("/grpc.health.v1.Health/Check", Buffer.alloc(0)) },
    { name: "reflection over gRPC", scopes: [], call: grpc(REFLECTION, LIST_SERVICES) },
  ];
}

/** Reads every resource as every caller, and adds each deviation. @returns how many answers it has compared */
export async function callResources(
  server: { grpcPort: number; url: string },
  callers: readonly Caller[],
  deviations: string[],
): Promise<number> {
  const resources = resourcesOf(server);
  for (const { name, scopes, isForService = false, call } of resources) {
    for (const caller of callers) {
      const traits: Traits = { ...NO_CALL, isForService, scopes: scopes ?? [] };
      const expected = scopes === null ? "OK" : expectedOf(traits, caller.grants(traits));
      const { code, reason = "OK", text } = await call(caller.headers(traits, crypto.randomUUID()));
      if (reason === expected && (code === "OK") === (expected === "OK")) continue;
      deviations.push(`${name}, a caller ${caller.name}: ${code} ${reason}, not ${expected}: ${text}`);
    }
  }
  return resources.length * callers.length;
}

const NO_CALL = { isForOneTask: false, namesTask: false, namesKind: false, namesLabels: false, namesNamespace: false };

function expectedOf({ scopes, isForService }: Traits, grants: Grants | null): string {
  if (grants === null) return "UNAUTHENTICATED";
  const isAllowed =
    scopes.every((scope) => grants.scopes.includes(scope)) && (!isForService || hasWholeService(grants));
  return isAllowed ? "OK" : "PERMISSION_DENIED";
}
