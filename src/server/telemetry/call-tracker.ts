import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { CallTracker } from "../../rpc/call/tracked-call.ts";
import type { CallContext } from "../../rpc/call/service.ts";
import { CallSpan } from "../../telemetry/call-span.ts";
import type { ReadHeader } from "../../telemetry/call-span.ts";
import type { Metrics } from "./metrics.ts";

/** An endpoint, as the label `door` and the span attribute name it. */
export type Endpoint = "grpc" | "http" | "sse";

/** The value of `rpc.system` for each endpoint. */
const SYSTEMS: Record<Endpoint, string> = { grpc: "grpc", http: "connectrpc", sse: "sse" };

/** Creates the tracker of an endpoint, with metrics and, if calls are traced, spans; undefined if both are off. */
export function callTracker(
  endpoint: Endpoint,
  { metrics, isTraced }: { metrics: Pick<Metrics, "callsAt">; isTraced: boolean },
): CallTracker | undefined {
  const count = metrics.callsAt(endpoint) ?? (isTraced ? () => () => {} : undefined);
  if (count === undefined) return undefined;
  return (method, context) => {
    const end = count(method);
    if (!isTraced) return { end };
    const name = `${method.parent.typeName}/${method.name}`;
    const span = new CallSpan({ system: SYSTEMS[endpoint], method: name, door: endpoint }, headerOf(context));
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
