import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { burst } from "../kinds.ts";
import type { Figure, Measure } from "../measure.ts";
import { rateOf } from "../rate.ts";
import type { Servers } from "../servers.ts";
import { countTape } from "./tapes.ts";

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
/** How often the levels take turns within a round: what the machine does meanwhile then falls on all of them. */
const TURNS = 4;

export const telemetryTasks = atEachLevel({
  name: "telemetry-tasks",
  unit: "tasks/s",
  about: "start a task that emits 10 events and follow it to its end, 64 at once",
  async turn(client, size) {
    const events = 10;
    return rateOf(() => runTask(client, events), { times: size(2_000), atOnce: 64 });
  },
});

export const telemetryEvents = atEachLevel({
  name: "telemetry-events",
  unit: "events/s",
  about: "16 tasks at once emit 15,000 events each, and a client follows each from its start to its end",
  async turn(client, size) {
    const events = size(15_000);
    const tasks = await rateOf(() => runTask(client, events), { times: 16, atOnce: 16 });
    return tasks * events;
  },
});

async function runTask(client: SpoolClient, events: number): Promise<void> {
  const run = await client.run({ kind: burst.name, params: { events } });
  await countTape(run.events, events);
}

function atEachLevel({
  name,
  unit,
  about,
  turn,
}: {
  name: string;
  unit: string;
  about: string;
  /** @returns how many a second */
  turn(client: SpoolClient, size: (full: number) => number): Promise<number>;
}): Measure {
  const figures = LEVELS.map((level, index): Figure => {
    const before = LEVELS[index - 1];
    const comparisons = before === undefined ? [] : [{ with: `${name}-${before}`, bar: { atLeast: SHARE_MIN } }];
    return { name: `${name}-${level}`, unit, about: `${about}, ${ABOUT[level]}`, comparisons };
  });
  return {
    name,
    about: `${about}: what it costs that a server tells of it`,
    figures,
    only: "heavy",
    async prepare(servers, size) {
      const { clients, close } = await startLevels(servers);
      for (const client of [...clients, ...clients]) await turn(client, size); // Each has to be warm.
      return {
        async run() {
          const secondsOf = clients.map(() => 0);
          for (let taken = 0; taken < TURNS; taken++) {
            for (let place = 0; place < clients.length; place++) {
              const index = (place + taken) % clients.length; // Nobody is always first.
              secondsOf[index]! += 1 / (await turn(clients[index]!, size));
            }
          }
          return Object.fromEntries(LEVELS.map((level, index) => [`${name}-${level}`, TURNS / secondsOf[index]!]));
        },
        close,
      };
    },
  };
}

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
