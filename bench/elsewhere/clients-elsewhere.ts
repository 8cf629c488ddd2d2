import { cpuFigures, cpuOutcome } from "../cpu/figures.ts";
import { costOf } from "../cpu/meter.ts";
import type { LoadDone } from "../load/load.ts";
import { WORK_NAMES, WORKS } from "../load/works.ts";
import type { Work } from "../load/works.ts";
import type { Figure, Measure } from "../measure.ts";
import type { Service } from "../service.ts";
import { startCoordinator } from "./coordinator.ts";
import type { Coordinator } from "./coordinator.ts";

const SECONDS = 10;
const ANY = new Set(["0.0.0.0", "::", "*"]);

export interface ElsewhereOptions {
  /** The address of this machine that servers listen on and clients call. */
  host: string;
  /** What clients present, to the servers and here. */
  token: string;
  /** Prints a line for the person at this machine. */
  say(line: string): void;
}

/**
 * Clients on other machines load the service on this one. The rates and times are theirs, the CPU times of servers and
 * databases are measured here, and those of the clients there.
 *
 * @throws TypeError for a host that no client can call
 */
export function clientsElsewhere({ host, token, say }: ElsewhereOptions): Measure {
  if (ANY.has(host)) throw new TypeError(`--listen: clients cannot call ${host}: give an address of this machine`);
  return {
    name: "elsewhere",
    about: "clients on other machines load Spool servers on this one",
    figures: [...WORK_NAMES.flatMap(figuresOf), ...WORK_NAMES.flatMap(cpuFiguresOf)],
    async prepare({ service }, _, { seconds = SECONDS, clients = 1 }) {
      await using preparing = new AsyncDisposableStack();
      const coordinator = preparing.use(await startCoordinator({ host, clients, token }));
      say(`Run this in ${clients === 1 ? "a checkout" : `${clients} checkouts`} of this commit on other machines:\n`);
      say(commandOf({ service, coordinator, token }));
      say(`\nWaiting for ${clients === 1 ? "a client" : `${clients} clients`} …`);
      await coordinator.ready();
      const prepared = preparing.move();
      return {
        async run() {
          const outcome: Record<string, number> = {};
          for (const work of WORK_NAMES)
            Object.assign(outcome, await takeWork(work, { service, coordinator, seconds }));
          return outcome;
        },
        close: () => prepared.disposeAsync(),
      };
    },
  };
}

function commandOf({ service, coordinator, token }: { service: Service; coordinator: Coordinator; token: string }) {
  const addresses = service.servers.map(({ address }) => address);
  const namespaces = service.namespaces.map(({ name }) => name).join(",");
  const options = `--namespaces ${namespaces} --bench ${coordinator.url}`;
  return `SPOOL_TOKEN=${token} npm run --silent bench:client -- ${options} ${addresses.join(" ")}`;
}

function figuresOf(work: Work): Figure[] {
  const { counted, about } = WORKS[work];
  const times = `of ${work === "event" ? "a task with its events" : "one"}, by the clients' clocks`;
  return [
    { name: `elsewhere-${work}`, unit: `${counted}/s`, about: `by clients elsewhere: ${about}, at each client` },
    { name: `elsewhere-${work}-p50`, unit: "ms", about: `the same: p50 ${times}; the mean of the clients'` },
    { name: `elsewhere-${work}-p99`, unit: "ms", about: `the same: p99 ${times}; the highest of the clients'` },
  ];
}

function cpuFiguresOf(work: Work): Figure[] {
  return cpuFigures(nameOf(work), { about: `${WORKS[work].about}, at each client elsewhere` });
}

function nameOf(work: Work): string {
  return `elsewhere-${work}`;
}

async function takeWork(
  work: Work,
  { service, coordinator, seconds }: { service: Service; coordinator: Coordinator; seconds: number },
): Promise<Record<string, number>> {
  const sum = (done: readonly LoadDone[], value: (one: LoadDone) => number) =>
    done.reduce((total, one) => total + value(one), 0);
  await coordinator.ready(); // The wait for them is not theirs.
  const { cost, work: taken } = await costOf(measuredOf(service), async () => {
    const done = await coordinator.run({ work, until: { seconds } });
    return { done, count: sum(done, ({ count }) => count), clientUs: sum(done, ({ clientUs }) => clientUs) };
  });
  const { done } = taken;
  return {
    [`elsewhere-${work}`]: sum(done, (one) => one.count / one.seconds),
    [`elsewhere-${work}-p50`]: sum(done, ({ p50Ms }) => p50Ms) / done.length,
    [`elsewhere-${work}-p99`]: Math.max(...done.map(({ p99Ms }) => p99Ms)),
    ...cpuOutcome(nameOf(work), cost),
  };
}

function measuredOf({ servers, databases }: Service) {
  return { servers, databases };
}
