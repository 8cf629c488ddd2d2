import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serveScript, TASK_ID, taskMessage } from "../client/scripted-server.ts";
import { runSpool } from "./spool-process.ts";

describe("an invalid command line", () => {
  for (const [words, message] of [
    [["lst"], /unknown command 'lst' \(Did you mean list\?\)\n/],
    [["list", "--limt", "1"], /unknown option '--limt' \(Did you mean --limit\?\)\n/],
    [["follow"], /give either a task id or --all/],
    [["list", "--nope"], /unknown option '--nope'/],
    [["list", "--status", "done"], /Allowed choices are pending, running/],
    [["list", "--limit", "0"], /--limit <n>.*It must be a whole number of at least 1/],
    [["start", "echo", "--timeout", "30"], /--timeout <duration>.*A duration is a number with a unit: 500ms, 30s/],
    [["start", "echo", "--params", "{"], /--params: must be JSON/],
    [["start", "echo", "--params", "[]"], /--params: must be a JSON object/],
    [["start", "echo", "--params", "@/no/such/file"], /--params: ENOENT/],
    [["start", "echo", "--label", "novalue"], /A label is KEY=VALUE/],
    [["start", "echo", "--label", "a=1", "--label", "a=2"], /The label a is given twice/],
    [["start", "echo", "--run-at", "2027-01-31T08:00"], /A time has a date and an offset: 2027-01-31T08:00:00Z/],
    [
      ["start", "echo", "--deadline", "tomorrow"],
      /--deadline <time>.*A time has a date and an offset: 2027-01-31T08:00:00Z/,
    ],
    [
      ["start", "echo", "--retry-backoff", "2"],
      /--retry-backoff <duration>.*A duration is a number with a unit: 500ms, 30s/,
    ],
    [["follow", TASK_ID, "--from-seq", "-1"], /A seq is a whole number/],
    [["list", "--config", "/no/such/file"], /ENOENT/],
    [["list", "--token", "two words"], /token: must be printable ASCII/],
  ] as [string[], RegExp][]) {
    it(`spool ${words.join(" ")} exits with 2 and reports why`, async () => {
      const { code, stdout, stderr } = await runSpool(words);
      assert.equal(code, 2);
      assert.equal(stdout, "");
      assert.match(stderr, message);
      assert.match(stderr, /^spool: /);
    });
  }

  it("is reported as one JSON object on stderr with --json", async () => {
    for (const words of [
      ["--json", "lst"],
      ["start", "echo", "--json", "--params", "{"],
    ]) {
      const { code, stderr } = await runSpool(words);
      assert.equal(code, 2);
      assert.equal(JSON.parse(stderr).error.code, "USAGE");
    }
  });

  it("without a command prints the help and exits with 2", async () => {
    const { code, stderr } = await runSpool([]);
    assert.equal(code, 2);
    assert.match(stderr, /^Usage: spool/);
  });
});

describe("the help", () => {
  it("exits with 0 and lists the exit codes", async () => {
    const { code, stdout } = await runSpool(["--help"]);
    assert.equal(code, 0);
    for (const line of ["  0  the task succeeded", "  3  Ctrl-C", "124  the command's own --timeout"]) {
      assert.ok(stdout.includes(line), line);
    }
  });

  it("of a command lists the global options", async () => {
    const { code, stdout } = await runSpool(["start", "--help"]);
    assert.equal(code, 0);
    for (const option of ["--task-timeout", "--request-id", "--address", "SPOOL_TOKEN"])
      assert.ok(stdout.includes(option));
  });

  it("is accompanied by --version, which prints the version", async () => {
    const { code, stdout } = await runSpool(["--version"]);
    assert.equal(code, 0);
    assert.match(stdout, /^\d+\.\d+\.\d+/);
  });
});

describe("spool version", () => {
  it("prints the versions of the program, of the schema and of Node", async () => {
    const { code, stdout } = await runSpool(["version"]);
    assert.equal(code, 0);
    const node = process.versions.node.replaceAll(".", "\\.");
    assert.match(stdout, new RegExp(`^spool {3}\\d+\\.\\d+\\.\\d+\nschema {2}\\d{4}-[a-z-]+\nnode {4}${node}\n$`));
    const json = JSON.parse((await runSpool(["version", "--json"])).stdout);
    assert.deepEqual(Object.keys(json), ["spool", "schema", "node"]);
    assert.equal(json.spool, (await runSpool(["--version"])).stdout.trim());
  });
});

describe("a server that does not run", () => {
  it("is reported with its address, and the command exits with 1", async () => {
    const server = await serveScript({});
    await server.stop();
    const { code, stderr } = await runSpool(["get", TASK_ID, "--address", server.address]);
    assert.equal(code, 1);
    assert.ok(stderr.includes(`is \`spool serve\` running at ${server.address}?\n`), stderr);
  });
});

describe("a setting", () => {
  it("is read from the flag, else from the environment variable, else from the config file", async () => {
    const received: unknown[] = [];
    await using server = await serveScript({
      getTask: (_, { metadata }) => {
        received.push(metadata.get("authorization")[0]);
        return { task: taskMessage() };
      },
    });
    const folder = await mkdtemp(join(tmpdir(), "spool-cli-"));
    const config = join(folder, "spool.json");
    await writeFile(config, JSON.stringify({ address: server.address, token: "of-file", slots: 3 }));
    const get = (words: string[], environment: Record<string, string>) =>
      runSpool(["get", TASK_ID, ...words], { environment });
    const ends = [
      await get(["--config", config], {}),
      await get([], { SPOOL_CONFIG: config, SPOOL_TOKEN: "" }),
      await get([], { SPOOL_CONFIG: config, SPOOL_TOKEN: "of-environment" }),
      await get(["--token", "of-flag"], { SPOOL_CONFIG: config, SPOOL_TOKEN: "of-environment" }),
      await get(["--address", server.address], { SPOOL_ADDRESS: "127.0.0.1:1" }),
      await get([], { SPOOL_CONFIG: config, SPOOL_ADDRESS: "127.0.0.1:1" }),
    ];
    await rm(folder, { recursive: true });
    assert.deepEqual(
      ends.map(({ code }) => code),
      [0, 0, 0, 0, 0, 1],
    );
    const bearers = ["of-file", "of-file", "of-environment", "of-flag"].map((token) => `Bearer ${token}`);
    assert.deepEqual(received, [...bearers, undefined]);
  });
});

describe("Ctrl-C", () => {
  it("exits the process at once when pressed twice", async () => {
    const interrupt = join(import.meta.dirname, "../../src/cli/follow/interrupt.ts");
    const source = `
      const { catchInterrupt } = await import(${JSON.stringify(interrupt)});
      const { signal } = catchInterrupt();
      signal.addEventListener("abort", () => console.log("once"));
      setInterval(() => {}, 1_000);
      console.log("ready");
    `;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", source]);
    const exit = once(child, "exit");
    for await (const output of child.stdout.setEncoding("utf8")) {
      assert.ok(["ready\n", "once\n"].includes(output));
      child.kill("SIGINT");
    }
    assert.deepEqual(await exit, [3, null]);
  });
});
