import { ServerInterceptingCall } from "@grpc/grpc-js";
import type { Metadata, ServerInterceptor } from "@grpc/grpc-js";
import { Unauthenticated } from "../../domain/errors.ts";
import { readClientCertificate } from "../call/client-certificate.ts";
import type { Authenticator, Identity } from "../call/identity.ts";
import type { Drain } from "../call/drain.ts";
import { toRpcError } from "../errors.ts";
import type { ErrorLog } from "../errors.ts";
import { toGrpcStatus } from "./grpc-status.ts";

const HEALTH = "/grpc.health.v1.Health/";

/** The callers of the calls under way, by the metadata that grpc-js passes to the handler. */
const identities = new WeakMap<Metadata, Identity>();

/** Returns the caller that `authentication` has found for a call. */
export function identityOf(metadata: Metadata): Identity | undefined {
  return identities.get(metadata);
}

/** Creates an interceptor that authenticates calls. The health service needs no credential: probes have none. */
export function authentication(authenticator: Authenticator, log: ErrorLog): ServerInterceptor {
  return (method, call) => {
    if (method.path.startsWith(HEALTH)) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata(metadata, pass) {
            const admit = (identity: Identity) => {
              identities.set(metadata, identity);
              pass(metadata);
            };
            const refuse = (error: unknown) => call.sendStatus(toGrpcStatus(toRpcError(error, log)));
            const [authorization, ...others] = metadata.get("authorization");
            if (others.length > 0) return refuse(new Unauthenticated("wrong"));
            try {
              const found = authenticator.authenticate({
                authorization: authorization?.toString(),
                // Read only if there is no token: it is parsed for each call.
                get certificate() {
                  const { sslPeerCertificate: peer } = call.getAuthContext();
                  return peer === undefined ? null : readClientCertificate(peer);
                },
              });
              // A caller that is known already is not delayed by a turn of the event loop.
              if (found instanceof Promise) void found.then(admit, refuse);
              else admit(found);
            } catch (error) {
              refuse(error);
            }
          },
        }),
    });
  };
}

/**
 * Creates an interceptor that ends the streams of library services (health watch and reflection) when the drain begins.
 * Otherwise one idle watcher would delay the shutdown by the whole grace period.
 *
 * @param isOurs whether addService serves the method at a path: it ends its streams itself
 */
export function drainOthers(drain: Drain, isOurs: (path: string) => boolean, log: ErrorLog): ServerInterceptor {
  return (method, call) => {
    if (!method.responseStream || isOurs(method.path)) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start(next) {
        const settle = drain.onBegin((reason) => call.sendStatus(toGrpcStatus(toRpcError(reason, log))));
        next({ onCancel: settle }); // Called for every end of the call.
      },
    });
  };
}
