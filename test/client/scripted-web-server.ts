import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fromBinary } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { ServiceError } from "@grpc/grpc-js";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts";
import { TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import type { Script, ScriptedServer } from "./scripted-server.ts";

type Streamed = "streamEvents" | "followTasks";

/** Serves the `getTask` and the streams of a script over Connect, as `serveScript` does over gRPC. */
export async function serveWebScript(
  script: Pick<Script, "getTask" | Streamed>,
  port = 0,
): Promise<ScriptedServer & { url: string }> {
  const calls: Record<string, number> = {};
  const call = (name: string, { signal }: HandlerContext) => ({
    metadata: undefined as never,
    attempt: (calls[name] = (calls[name] ?? 0) + 1),
    cancelled: new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())),
  });
  const routes = (router: ConnectRouter) =>
    router.service(TaskService, {
      async getTask(request, context) {
        try {
          return await script.getTask!(request, call("getTask", context));
        } catch (error) {
          throw toConnectError(error);
        }
      },
      async *streamEvents(request, context) {
        try {
          yield* script.streamEvents!(request, call("streamEvents", context));
        } catch (error) {
          throw toConnectError(error);
        }
      },
      async *followTasks(request, context) {
        try {
          yield* script.followTasks!(request, call("followTasks", context));
        } catch (error) {
          throw toConnectError(error);
        }
      },
    });
  const server = createServer(connectNodeAdapter({ routes }));
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const bound = (server.address() as AddressInfo).port;
  const stop = async () => {
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  };
  const address = `127.0.0.1:${bound}`;
  return { address, url: `http://${address}`, port: bound, calls, stop, [Symbol.asyncDispose]: stop };
}

/** Converts what `failure` makes. */
function toConnectError(error: unknown): ConnectError {
  const { code, message, metadata } = error as ServiceError;
  const [bytes] = metadata.get("grpc-status-details-bin");
  const converted = new ConnectError(message, code as number);
  converted.details = fromBinary(StatusSchema, bytes as Buffer).details.map(({ typeUrl, value }) => ({
    type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
    value,
  }));
  return converted;
}
