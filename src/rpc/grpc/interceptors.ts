import { ServerInterceptingCall } from "@grpc/grpc-js";
import type { ServerInterceptor } from "@grpc/grpc-js";
import { Unauthenticated } from "../../domain/errors.ts";
import { bearerTokenCheck } from "../call/bearer-token.ts";
import type { Drain } from "../call/drain.ts";
import { toRpcError } from "../errors.ts";
import type { ErrorLog } from "../errors.ts";
import { toGrpcStatus } from "./grpc-status.ts";

const HEALTH = "/grpc.health.v1.Health/";

/** Lets a call pass that carries the token as its bearer; health is asked without one, by those who have none. */
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
 * Ends the streams of services that know nothing of a drain, health's watch and reflection, when the drain begins:
 * one idle watcher would otherwise hold up the shutdown for all of its grace.
 *
 * @param isOurs whether the method at a path is served by addService, which does this itself and tells its handlers
 */
export function drainOthers(drain: Drain, isOurs: (path: string) => boolean, log: ErrorLog): ServerInterceptor {
  return (method, call) => {
    if (!method.responseStream || isOurs(method.path)) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start(next) {
        const settle = drain.onBegin((reason) => call.sendStatus(toGrpcStatus(toRpcError(reason, log))));
        next({ onCancel: settle }); // However a call ends, this is called.
      },
    });
  };
}
