import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { CallTracker } from "../../rpc/call/tracked-call.ts";
import type { CallContext } from "../../rpc/call/service.ts";
import { CallSpan } from "../../telemetry/call-span.ts";
import type { ReadHeader } from "../../telemetry/call-span.ts";
import type { Metrics } from "./metrics.ts";

export type Door = "grpc" | "http" | "sse";

/** By what the conventions for RPC know what is spoken at a door. */
const SYSTEMS: Record<Door, string> = { grpc: "grpc", http: "connectrpc", sse: "sse" };

/** Counts the calls at a door, and gives each a span where calls are traced; undefined: neither is wanted. */
export function callTracker(
  door: Door,
  { metrics, isTraced }: { metrics: Pick<Metrics, "callsAt">; isTraced: boolean },
): CallTracker | undefined {
  const count = metrics.callsAt(door) ?? (isTraced ? () => () => {} : undefined);
  if (count === undefined) return undefined;
  return (method, context) => {
    const end = count(method);
    if (!isTraced) return { end };
    const name = `${method.parent.typeName}/${method.name}`;
    const span = new CallSpan({ system: SYSTEMS[door], method: name, door }, headerOf(context));
    return {
      traceparent: span.traceparent,
      run: (handler) => span.run(handler),
      end(code, thrown) {
        end(code);
        span.end(code === "ok" ? "OK" : codeToString(code).toUpperCase(), thrown);
      },
    };
  };
}

function headerOf(context: CallContext): ReadHeader {
  return context.header ?? ((name) => context.requestHeader.get(name) ?? undefined);
}
