import { createClient } from "@connectrpc/connect";
import type { Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-node";
import { connect } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { connect as connectOverWeb } from "../../src/client/web.ts";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import { ConnectError } from "@connectrpc/connect";
import { readEvents } from "./server-sent-events.ts";

/** How a test follows a tape with a token. Yields the types of its events, and throws a CallRefused. */
type Follow = (
  at: { address: string; url: string },
  call: { token: string; taskId: string },
) => AsyncGenerator<string, void>;

/** Why a stream was refused, or has ended early. */
class CallRefused extends Error {
  readonly reason: string;
  /** What is wrong with the token; undefined: nothing. */
  readonly token: string | undefined;

  constructor(reason: string, metadata: Readonly<Record<string, string>>) {
    super(`${reason} ${JSON.stringify(metadata)}`);
    this.reason = reason;
    this.token = metadata["token"];
  }
}

/** A follower of a tape over each protocol, by its name. */
export const FOLLOWERS: Readonly<Record<string, Follow>> = {
  gRPC: ({ address }, { token, taskId }) => followByClient(connect({ address, token }), taskId),
  Connect: ({ url }, { token, taskId }) => followByClient(connectOverWeb({ url, token }), taskId),
  "gRPC-Web": followByGrpcWeb,
  "server-sent events": followByFetch,
};

async function* followByClient(client: SpoolClient, taskId: string): AsyncGenerator<string, void> {
  using open = client;
  try {
    for await (const { type } of open.follow({ taskId })) yield type;
  } catch (error) {
    const { reason, metadata } = error as { reason: string; metadata: Record<string, string> };
    throw new CallRefused(reason, metadata);
  }
}

async function* followByGrpcWeb(
  { url }: { url: string },
  { token, taskId }: { token: string; taskId: string },
): AsyncGenerator<string, void> {
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const client = createClient(
    TaskService,
    createGrpcWebTransport({ baseUrl: url, httpVersion: "1.1", interceptors: [authorize] }),
  );
  const leaving = new AbortController();
  try {
    for await (const { events } of client.streamEvents({ taskId }, { signal: leaving.signal })) {
      for (const { body } of events) yield (body.case ?? "").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    }
  } catch (error) {
    const [info] = ConnectError.from(error).findDetails(ErrorInfoSchema);
    if (info === undefined) throw error;
    throw new CallRefused(info.reason, info.metadata);
  } finally {
    leaving.abort();
  }
}

/** As a page does: an EventSource cannot set the header. */
async function* followByFetch(
  { url }: { url: string },
  { token, taskId }: { token: string; taskId: string },
): AsyncGenerator<string, void> {
  const leaving = new AbortController();
  try {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${url}/v1/tasks/${taskId}/events`, { headers, signal: leaving.signal });
    if (response.status >= 400) throw refusalIn(await response.json());
    for await (const { event, data } of readEvents(response)) {
      if (event === "error") throw refusalIn(JSON.parse(data!));
      yield event!;
    }
  } finally {
    leaving.abort();
  }
}

interface ConnectJsonError {
  details: { type: string; debug: { reason: string; metadata?: Record<string, string> } }[];
}

function refusalIn(error: unknown): CallRefused {
  const { details } = error as ConnectJsonError;
  const { reason, metadata = {} } = details.find(({ type }) => type === ErrorInfoSchema.typeName)!.debug;
  return new CallRefused(reason, metadata);
}
