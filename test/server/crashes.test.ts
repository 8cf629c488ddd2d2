import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import type { Way } from "../support/crashing-kinds.ts";
import { eventually } from "../support/eventually.ts";
import { createDatabase } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";
import type { ServerProcess } from "../support/server-process.ts";

const KINDS = join(import.meta.dirname, "..", "support", "crashing-kinds.ts");
const TEST_MS = 240_000;
const WAIT_MS = 200_000;

interface Line {
  level: string;
  msg: string;
  task_id?: string;
  kind?: string;
  attempt?: number;
}

/** Starts a server, and another whenever it dies, as a supervisor does, until it is disposed. */
function keepServing(url: string, fatal: Line[]): AsyncDisposable & { address: () => Promise<string> } {
  let isOver = false;
  const note = (text: string) => {
    const lines = text.split("\n").filter((line) => line.startsWith("{"));
    fatal.push(...lines.map((line) => JSON.parse(line) as Line).filter(({ level }) => level === "fatal"));
  };
  let server = start();
  async function start(): Promise<ServerProcess> {
    const environment = { SPOOL_DATABASE_URL: url, SPOOL_LEASE_MS: "1000", NODE_OPTIONS: "--max-old-space-size=128" };
    let started: ServerProcess;
    try {
      started = await startServerProcess({ environment, args: ["--kinds", KINDS] });
    } catch (error) {
      note((error as Error).message); // It was taken down before it could say where it listens.
      return start();
    }
    let text = "";
    started.child.stderr!.on("data", (chunk: Buffer) => (text += chunk.toString()));
    void once(started.child, "close").then(() => {
      note(text);
      if (!isOver) server = start();
    });
    return started;
  }
  return {
    address: async () => (await server).address,
    async [Symbol.asyncDispose]() {
      isOver = true;
      await (await server).end("SIGKILL");
    },
  };
}

/** Whether the server's last words name the task that it died of; and those that differ little from one before. */
const WAYS: [way: Way, isNamed: boolean, isKnown: boolean, mark?: "@slow"][] = [
  ["an error in a timer", true, true, "@slow"],
  ["a rejection that nobody handles", true, true],
  ["an exit", true, false, "@slow"],
  ["an exit later", true, false, "@slow"],
  ["a heap that is full", false, false, "@slow"],
];

describe("a task that crashes its server", function () {
  this.timeout(TEST_MS);
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "spool-crashes-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  for (const [way, isNamed, isKnown, mark = ""] of WAYS) {
    it(`ends as WORKER_CRASHED after the third time, and the other task continues: ${way} ${mark}`, async () => {
      await using database = await createDatabase();
      const fatal: Line[] = [];
      await using servers = keepServing(database.url, fatal);
      const file = join(folder, "go-on");
      const first = connect({ address: await servers.address() });
      const { task: beside } = await first.start({ kind: "neighbour", params: { file }, maxAttempts: 10 });
      const { task } = await first.start({ kind: "poison", params: { way }, maxAttempts: 10 });
      first.close();
      // Suspected as well by then, it goes first, for it is older: the other waits until it has ended.
      if (!isKnown) await atAnyServer(servers, (client) => untilAttempt(client, beside.taskId, 3));
      if (!isKnown) await writeFile(file, "");
      const { status, error } = await ended(servers, task.taskId);
      assert.deepEqual([status, error?.reason], ["failed", "WORKER_CRASHED"]);
      await writeFile(file, "");
      assert.equal((await ended(servers, beside.taskId)).status, "succeeded");
      using client = connect({ address: await servers.address() });
      const { attempt } = await client.get({ taskId: task.taskId });
      assert.equal(attempt, 3);
      const other = await client.get({ taskId: beside.taskId });
      // Where the culprit was known, no attempt of the other was used up.
      if (isKnown) assert.equal(other.attempt - other.handovers, 1);
      const named = fatal.filter(({ task_id }) => task_id === task.taskId);
      assert.deepEqual(
        named.map(({ kind, attempt }) => [kind, attempt]),
        isNamed ? [1, 2, 3].map((number) => ["poison", number]) : [],
      );
    });
  }
});

function ended(servers: { address: () => Promise<string> }, taskId: string) {
  return atAnyServer(servers, (client) => client.waitFinal({ taskId, timeoutMs: 30_000 }));
}

async function untilAttempt(client: SpoolClient, taskId: string, attempt: number): Promise<void> {
  const task = await client.get({ taskId });
  assert.ok(task.attempt >= attempt, `attempt ${task.attempt} is the last`);
}

/** Asks whatever server lives, until there is an answer. */
function atAnyServer<Answer>(
  servers: { address: () => Promise<string> },
  ask: (client: SpoolClient) => Promise<Answer>,
): Promise<Answer> {
  return eventually(
    async () => {
      using client = connect({ address: await servers.address(), retryMs: 0 });
      return await ask(client);
    },
    { timeoutMs: WAIT_MS, describe: "a server that lives answers" },
  );
}
