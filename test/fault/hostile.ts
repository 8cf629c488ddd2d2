// A fuzzer makes every call at every endpoint, without a credential, with a wrong one, with all rights and with few: random
// and broken protobuf and JSON, values at and past their bounds, wrong framing and content types, odd timeouts and
// headers, changed cursors and page tokens, messages of workers in any order. The server must stay up and answer each
// call with a code and an ErrorInfo. No input may cause an internal error, or UNKNOWN.
//
// `-- --inputs 5000` sends fewer; `--seed N` repeats the inputs, though not the times at which they arrive, and `--only N`
// sends one of them, 100 times, and prints what it was.

import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createConnectTransport } from "@connectrpc/connect-node";
import { ConnectError, createClient } from "@connectrpc/connect";
import { connect } from "../../src/client/client.ts";
import { Scope } from "../../src/gen/spool/v1/access_pb.ts";
import { AdminService } from "../../src/gen/spool/v1/admin_service_pb.ts";
import { TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import { SERVICES } from "../access/requests.ts";
import { createDatabase } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";
import type { ServerProcess } from "../support/server-process.ts";
import { HostileGrpc } from "./support/hostile-grpc.ts";
import type { Exchange } from "./support/hostile-grpc.ts";
import { HostileHttp } from "./support/hostile-http.ts";
import { HostileValues } from "./support/hostile-values.ts";
import { SeededRandom } from "./support/random.ts";
import { inParallel, runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";

const INPUTS_DEFAULT = 200_000;
const AT_ONCE = 64;
const TOKEN = "the-token-of-the-operator";
const ONLY_INPUTS = 100;
const IDLE_MS = 5_000;
const SCRAPE_MS = 1_000;
/** How much more memory the idle server may use after the second half of the inputs than after the first. */
const GROWTH_MIB_MAX = 128;
const SCENARIO_MS_BASE = 180_000;
const SCENARIO_MS_PER_INPUT = 8;

const { values: options } = parseArgs({
  options: { inputs: { type: "string" }, seed: { type: "string" }, only: { type: "string" } },
});
const inputs = options.only === undefined ? Number(options.inputs ?? INPUTS_DEFAULT) : ONLY_INPUTS;
const seed = Number(options.seed ?? Date.now() % 1_000_000);
const METHODS = SERVICES.flatMap(({ methods }) => methods);

await runScenario("hostile", scenario, { msMax: SCENARIO_MS_BASE + inputs * SCENARIO_MS_PER_INPUT });

async function scenario(findings: Findings): Promise<void> {
  findings.record("seed", seed);
  findings.record("inputs", inputs);
  await using database = await createDatabase();
  const environment = { SPOOL_DATABASE_URL: database.url, SPOOL_TOKEN: TOKEN, SPOOL_LOG_LEVEL: "error" };
  await using server = await startServerProcess({ environment });
  let log = "";
  server.child.stderr!.on("data", (chunk: Buffer) => (log += chunk.toString()));
  let hasEnded = false;
  server.child.once("exit", () => (hasEnded = true));
  const known = await prepare(server);
  const headers = await credentialsOf(server, findings);
  const grpc = new HostileGrpc(server.address);
  const http = new HostileHttp(server.url);
  const internal: Exchange[] = [];

  const send = async (index: number): Promise<void> => {
    if (hasEnded) return;
    const values = new HostileValues(new SeededRandom(seed * 1_000_003 + Number(options.only ?? index)), known);
    const credential: Record<string, string> = { ...values.pick(headers) };
    if (values.chance(0.1))
      credential["spool-namespace"] = values.pick(["default", "missing", "x".repeat(64), "a b", "*"]);
    const method = values.pick(METHODS);
    const kind = values.below(20);
    const exchange =
      kind < 9
        ? await grpc.call(values, method, credential)
        : kind < 17 && method.methodKind !== "bidi_streaming"
          ? await http.call(values, method, credential)
          : kind < 19
            ? await http.get(values, credential)
            : await http.raw(values);
    if (exchange.answer.code === "Internal") internal.push(exchange);
    if (options.only !== undefined && index === 0) console.log(exchange);
    evaluate(findings, exchange, `input ${index}`);
  };

  const stalls = watchStalls(server);
  const half = Math.ceil(inputs / 2);
  const startMib = residentMib(server);
  await inParallel({ total: half, atOnce: AT_ONCE }, send);
  await setTimeout(IDLE_MS);
  const halfMib = residentMib(server);
  await inParallel({ total: inputs - half, atOnce: AT_ONCE }, (index) => send(half + index));
  await setTimeout(IDLE_MS);
  const endMib = residentMib(server);
  findings.record("longest stall of the event loop, ms", Math.round(await stalls.stop()));
  findings.record("resident memory, MiB", `${startMib} at the start, ${halfMib} after half, ${endMib} at the end`);
  findings.expect(endMib - halfMib <= GROWTH_MIB_MAX, `the server's memory grew by ${endMib - halfMib} MiB`);
  findings.expect(!hasEnded, "the server has ended", log.slice(-2_000));
  grpc.close();
  http.close();
  for (const { name, answer } of internal) {
    const line = log.split("\n").find((each) => answer.errorId !== undefined && each.includes(answer.errorId));
    findings.expect(line !== undefined, `${name}: an internal error without its error_id in the log`, answer);
    findings.violation(`${name}: an internal error`, line?.slice(0, 1_000));
  }
  await expectService(server, findings);
}

/** Checks an answer. */
function evaluate(findings: Findings, { name, answer, isOddHttp }: Exchange, input: string): void {
  const { code, reason, text } = answer;
  const [endpoint] = name.split(" ");
  findings.count(`answers: ${code}${code === "cut" ? ` ${endpoint}` : ""}${reason === undefined ? "" : ` ${reason}`}`);
  if (code === "OK" || code === "left" || code === "cut") return;
  if (code === "Unknown" || code === "no answer" || code === "no end") {
    findings.violation(`${name}, ${input}: ${code}`, text);
  } else if (reason === undefined && !isOddHttp) {
    findings.violation(`${name}, ${input}: ${code} without an ErrorInfo`, text);
  }
}

/** Starts tasks, and returns ids, page tokens and cursors that the server knows. */
async function prepare({ address, url }: ServerProcess): Promise<string[]> {
  using client = connect({ address, token: TOKEN });
  const known: string[] = [];
  for (let count = 0; count < 20; count++) {
    const { task } = await client.start({
      kind: "echo",
      params: { count: 3 },
      labels: { team: count % 2 ? "a" : "b" },
    });
    known.push(task.taskId);
  }
  const raw = createClient(TaskService, createConnectTransport({ baseUrl: url, httpVersion: "1.1" }));
  const headers = { authorization: `Bearer ${TOKEN}` };
  known.push((await raw.listTasks({ pageSize: 1 }, { headers })).nextPageToken);
  for await (const { nextCursor } of raw.followTasks({ fromStart: true }, { headers })) {
    known.push(nextCursor);
    if (known.length > 24) break;
  }
  return known;
}

/** Returns the credentials of all callers. Those with few rights need a server that creates tokens. */
async function credentialsOf({ url }: ServerProcess, findings: Findings): Promise<Record<string, string>[]> {
  const root = { authorization: `Bearer ${TOKEN}` };
  const common = [
    ...Array.from({ length: 9 }, () => root),
    {},
    { authorization: "Bearer wrong" },
    { authorization: "Basic x" },
  ];
  const admin = createClient(AdminService, createConnectTransport({ baseUrl: url, httpVersion: "1.1" }));
  const scopes = [Scope.TASKS_READ, Scope.TASKS_START, Scope.TASKS_CANCEL, Scope.TASKS_DELETE, Scope.WORK];
  const grants = [
    { namespaces: ["default"], scopes, kinds: ["echo"] },
    { namespaces: ["def*"], scopes, labels: { team: "a" } },
  ];
  try {
    const made = await Promise.all(
      grants.map((each) => admin.createToken({ name: "few-rights", grants: each }, { headers: root })),
    );
    findings.record("callers with few rights", made.length);
    const few = made.map(({ token }) => ({ authorization: `Bearer ${token}` }));
    return [...common, ...few, ...few, ...few];
  } catch (error) {
    findings.record("callers with few rights", `none: ${ConnectError.from(error).message}`);
    return common;
  }
}

/** Scrapes the longest delay of the server's event loop. @returns the longest of all, in ms */
function watchStalls({ url }: ServerProcess): { stop(): Promise<number> } {
  const ended = new AbortController();
  let longestMs = 0;
  const scrape = async () => {
    const response = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
    const [, seconds] = /^nodejs_eventloop_delay_max_seconds\S* (\S+)/m.exec(await response.text()) ?? [];
    longestMs = Math.max(longestMs, Number(seconds) * 1_000);
  };
  const watching = (async () => {
    while (!ended.signal.aborted) {
      await scrape().catch(() => {}); // A server that is down is found elsewhere.
      await setTimeout(SCRAPE_MS, undefined, { signal: ended.signal }).catch(() => {});
    }
  })();
  return {
    async stop() {
      ended.abort();
      await watching;
      return longestMs;
    },
  };
}

function residentMib({ child }: ServerProcess): number {
  try {
    const [, kib] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8")) ?? [];
    return Math.round(Number(kib) / 1_024);
  } catch {
    return 0; // The server has ended.
  }
}

/** Checks that the server still runs a task from start to end. */
async function expectService({ address }: ServerProcess, findings: Findings): Promise<void> {
  using client = connect({ address, token: TOKEN });
  const { task } = await client.start({ kind: "echo", params: { count: 2 } });
  const types: string[] = [];
  for await (const { type } of client.follow({ taskId: task.taskId })) types.push(type);
  findings.expect(types.at(-1) === "final", "a task after the attack has not ended", types);
}
