import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { rateOf } from "../rate.ts";
import type { Servers } from "../servers.ts";
import { inTurn } from "./in-turn.ts";
import type { Variants } from "./in-turn.ts";
import { runBurst } from "./tapes.ts";

/** How much a server tells, each of the ones before it and more. */
const LEVELS = ["untold", "told", "traced"] as const;
type Level = (typeof LEVELS)[number];

const ABOUT: Record<Level, string> = {
  untold: "by a server without metrics and without a log",
  told: "by a server as it is by default: metrics, and a log of every task to a file",
  traced: "the same, and one call in a hundred is traced, with its attempts, by OTLP",
};
/** Of the level before. */
const SHARE_MIN = 0.95;
const WHY = "what it costs that a server tells of it";

const VARIANTS: Variants<Level> = {
  names: LEVELS,
  about: ABOUT,
  comparedWith: {
    told: { with: "untold", atLeast: SHARE_MIN },
    traced: { with: "told", atLeast: SHARE_MIN },
  },
  start: startLevels,
};

export const telemetryTasks = inTurn(VARIANTS, {
  name: "telemetry-tasks",
  unit: "tasks/s",
  about: "start a task that emits 10 events and follow it to its end, 64 at once",
  why: WHY,
  async turn(client, size) {
    const events = 10;
    return rateOf(() => runBurst(client, events), { times: size(2_000), atOnce: 64 });
  },
});

export const telemetryEvents = inTurn(VARIANTS, {
  name: "telemetry-events",
  unit: "events/s",
  about: "16 tasks at once emit 15,000 events each, and a client follows each from its start to its end",
  why: WHY,
  async turn(client, size) {
    const events = size(15_000);
    const tasks = await rateOf(() => runBurst(client, events), { times: 16, atOnce: 16 });
    return tasks * events;
  },
});

/** A server and its client for each level, on one Postgres. */
async function startLevels(servers: Servers): Promise<{ clients: SpoolClient[]; close(): Promise<void> }> {
  await using started = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "spool-bench-"));
  started.defer(() => rm(folder, { recursive: true }));
  const sink = started.use(await startSink());
  const told = { SPOOL_LOG_LEVEL: "info", SPOOL_HTTP_PORT: "0" };
  const settings: Record<Level, Record<string, string>> = {
    untold: { SPOOL_LOG_LEVEL: "silent", SPOOL_METRICS: "off", SPOOL_HTTP_PORT: "0" },
    told,
    traced: {
      ...told,
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: sink.url,
      OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "0.01",
    },
  };
  const clients: SpoolClient[] = [];
  for (const level of LEVELS) {
    const options = { settings: settings[level], logFile: join(folder, `${level}.log`) };
    const { address } = started.use(await servers.startSpool(options));
    clients.push(started.use(connect({ address })));
  }
  const open = started.move();
  return { clients, close: () => open.disposeAsync() };
}

/** Takes what is sent, and does nothing with it. */
async function startSink(): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((request, response) => {
    request.resume().on("end", () => response.end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1/traces`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
