import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

type Attributes = Record<string, unknown>;

/** A span as it came, with the resource that it is of. */
export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string | undefined;
  name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind: number;
  attributes: Attributes;
  links: { traceId: string; spanId: string }[];
  events: { name: string; attributes: Attributes }[];
  /** 0 unset, 1 ok, 2 error. */
  status: { code: number; message?: string };
  resource: Attributes;
}

/** A receiver of OTLP over HTTP, in JSON, on 127.0.0.1. */
export interface OtlpReceiver extends AsyncDisposable {
  /** For a process that is to send here, at once. */
  readonly environment: Record<string, string>;
  /** What came so far. */
  readonly spans: readonly ReceivedSpan[];
  /** The paths and content types of what was sent. */
  readonly requests: ReadonlySet<string>;
}

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const requests = new Set<string>();
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      requests.add(`${request.url} ${request.headers["content-type"]}`);
      if (request.url === "/v1/traces") spans.push(...spansIn(JSON.parse(body) as TraceRequest));
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    environment: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_BSP_SCHEDULE_DELAY: "20",
    },
    spans,
    requests,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

type KeyValues = { key: string; value: Record<string, unknown> }[];

interface TraceRequest {
  resourceSpans: {
    resource: { attributes: KeyValues };
    scopeSpans: { spans: SentSpan[] }[];
  }[];
}

interface SentSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  attributes?: KeyValues;
  links?: { traceId: string; spanId: string }[];
  events?: { name: string; attributes?: KeyValues }[];
  status?: { code?: number; message?: string };
}

function spansIn({ resourceSpans }: TraceRequest): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap((scope) =>
      scope.spans.map(({ traceId, spanId, parentSpanId, name, kind, attributes, links = [], events = [], status }) => ({
        traceId,
        spanId,
        parentSpanId: parentSpanId || undefined,
        name,
        kind,
        attributes: toObject(attributes),
        links: links.map((link) => ({ traceId: link.traceId, spanId: link.spanId })),
        events: events.map((event) => ({ name: event.name, attributes: toObject(event.attributes) })),
        status: { ...status, code: status?.code ?? 0 },
        resource: toObject(resource.attributes),
      })),
    ),
  );
}

/** A value of OTLP is an object of one member, named by its type. */
function toObject(pairs: KeyValues = []): Attributes {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]));
}
