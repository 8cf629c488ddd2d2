import { ServerInterceptingCall } from "@grpc/grpc-js";
import type { ServerInterceptor } from "@grpc/grpc-js";
import { Unauthenticated } from "../../domain/errors.ts";
import { bearerTokenCheck } from "../call/bearer-token.ts";
import type { Drain } from "../call/drain.ts";
import { toRpcError } from "../errors.ts";
import type { ErrorLog } from "../errors.ts";
import { toGrpcStatus } from "./grpc-status.ts";

const HEALTH = "/grpc.health.v1.Health/";

/** Creates an interceptor that admits calls with the bearer token. The health service needs no token: probes have none. */
export function authentication(token: string, log: ErrorLog): ServerInterceptor {
  const isAuthorized = bearerTokenCheck(token);
  return (method, call) => {
    if (method.path.startsWith(HEALTH)) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata(metadata, pass) {
            const [authorization, ...others] = metadata.get("authorization");
            if (others.length === 0 && isAuthorized(authorization?.toString())) pass(metadata);
            else {
              const error = new Unauthenticated({ isGiven: authorization !== undefined });
              call.sendStatus(toGrpcStatus(toRpcError(error, log)));
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
