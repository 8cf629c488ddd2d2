// `npm run test:access`: makes every call of every service, at every endpoint, as every kind of caller, and compares the
// answer with a table of rules. The calls come from the descriptors of the services, so a new call cannot be left out.
// Prints the number of cells and each deviation.

import type { DescMethod } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { CODES } from "../../src/rpc/errors.ts";
import { inParallel } from "../fault/support/scenario.ts";
import { stopPostgres } from "../support/postgres.ts";
import { callersOf } from "./callers.ts";
import type { Caller } from "./callers.ts";
import { memoryCredentials } from "./credentials.ts";
import { closeClients, endpointsOf } from "./endpoints.ts";
import type { Endpoint, Outcome } from "./endpoints.ts";
import { requestOf, SERVICES } from "./requests.ts";
import { callResources } from "./resources.ts";
import { traitsOf } from "./rules.ts";
import type { Answer, Traits } from "./rules.ts";
import { openAccessServer } from "./served.ts";
import type { AccessServer } from "./served.ts";

const AT_ONCE = 16;
interface Cell {
  method: DescMethod;
  traits: Traits;
  endpoint: Endpoint;
  caller: Caller;
  expected: Answer;
}

/** The cells that answered something else, one line each. */
const deviations: string[] = [];
const startedAt = performance.now();
try {
  await run();
} finally {
  closeClients();
  await stopPostgres();
}
console.log(`seconds: ${((performance.now() - startedAt) / 1_000).toFixed(1)}`);
process.exitCode = deviations.length === 0 ? 0 : 1;

async function run(): Promise<void> {
  const credentials = memoryCredentials();
  await using server = await openAccessServer(credentials);
  const endpoints = endpointsOf(server);
  const callers = callersOf(credentials);
  const cells = SERVICES.flatMap(({ methods }) =>
    methods.flatMap((method) => {
      const traits = traitsOf(method);
      return endpoints
        .filter((endpoint) => endpoint.serves(method))
        .flatMap((endpoint) =>
          callers.map((caller): Cell => {
            const expected = caller.expected(method, traits);
            return { method, traits, endpoint, caller, expected };
          }),
        );
    }),
  );
  const shared = await server.makeTask();
  const before = await server.countTasks();
  await inParallel({ total: cells.length, atOnce: AT_ONCE }, (index) => check(cells[index]!, server, shared));
  const made = cells.filter(({ method, expected, caller }) => expected === "OK" && startsOwn(method, caller)).length;
  const found = await server.countTasks();
  if (found !== before + made) deviations.push(`${found} tasks are in the namespace, not ${before + made}`);
  const resources = await callResources(server, callers, deviations);
  deviations.push(...server.errors.map((line) => `the server logged an error: ${line.trim()}`));
  for (const line of deviations) console.error(line);
  const calls = new Set(cells.map(({ method }) => method)).size;
  console.log(`calls: ${calls}; endpoints: ${endpoints.length}; callers: ${callers.length}`);
  console.log(`cells: ${cells.length + resources}; deviations: ${deviations.length}`);
}

/** Whether the call of this caller leaves one more task in the namespace of the matrix. */
function startsOwn({ name }: DescMethod, caller: Caller): boolean {
  return (name === "StartTask" || name === "RunTask") && caller.name !== "of another namespace";
}

async function check(cell: Cell, server: AccessServer, shared: string): Promise<void> {
  const { method, traits, endpoint, caller, expected } = cell;
  const isDeleted = method.name === "DeleteTask" && expected === "OK";
  const taskId = isDeleted ? await server.makeTask() : shared;
  const headers = caller.headers(traits, taskId);
  const call = (id: string) => endpoint.call({ method, request: requestOf(method, id), headers });
  const outcome = await call(taskId);
  const name = `${method.name}, ${endpoint.name}, a caller ${caller.name}`;
  if (!isAs(outcome, expected)) {
    deviations.push(`${name}: ${outcome.code} ${outcome.reason ?? ""}, not ${expected}: ${outcome.text}`);
  } else if (expected === "TASK_NOT_FOUND") {
    const missing = crypto.randomUUID();
    const [foreignText, missingText] = [outcome.text, (await call(missing)).text.replaceAll(missing, taskId)];
    if (foreignText !== missingText) deviations.push(`${name}: ${foreignText} is not as of no task, ${missingText}`);
  }
}

function isAs({ code, reason }: Outcome, expected: Answer): boolean {
  if (expected === "OK") return code === "OK";
  return reason === expected && code === Code[CODES[expected]];
}
