import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { Interceptor } from "@connectrpc/connect";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { connect } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { toLimitsMessage } from "../../src/codec/limits.ts";
import { toScopeValue } from "../../src/codec/scope.ts";
import type { Scope } from "../../src/domain/principal.ts";
import type { Limits } from "../../src/domain/tenant-limits.ts";
import { AdminService } from "../../src/gen/spool/v1/admin_service_pb.ts";

/** A client of AdminService, over Connect. */
export function adminOf({ url }: { url: string }, token: string) {
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  return createClient(
    AdminService,
    createConnectTransport({ baseUrl: url, httpVersion: "1.1", interceptors: [authorize] }),
  );
}

/** Creates a token, and a client over gRPC that has it. @param wanted.root a token with all rights */
export async function callerWith(
  server: { address: string; url: string },
  wanted: {
    root: string;
    name: string;
    scopes: readonly Scope[];
    labels?: Readonly<Record<string, string>>;
    limits?: Limits;
    expiresAt?: Date;
    retryMs?: number;
  },
): Promise<SpoolClient> {
  const { root, name, scopes, labels = {}, limits = {}, expiresAt, retryMs } = wanted;
  const { token } = await adminOf(server, root).createToken({
    name,
    grants: { namespaces: ["*"], scopes: scopes.map(toScopeValue), labels: { ...labels } },
    limits: toLimitsMessage(limits),
    ...(expiresAt && { expiresAt: timestampFromDate(expiresAt) }),
  });
  return connect({ address: server.address, token, ...(retryMs !== undefined && { retryMs }) });
}
