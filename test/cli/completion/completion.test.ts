import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempDisposable } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import { readCommandTree } from "../../../src/cli/completion/command-tree.ts";
import { buildProgram } from "../../../src/cli/program.ts";
import { serveScript, T0, TASK_ID, taskMessage } from "../../client/scripted-server.ts";
import { runSpool } from "../spool-process.ts";
import { isInstalled, openShell, SHELLS } from "./shells.ts";
import type { CompletingShell } from "./shells.ts";

const TIMEOUT_MS = 60_000;
/** Less than a client waits for an answer by default. */
const ANSWER_MS = 15_000;
const TIME = timestampFromMs(T0);
const SESSION = { sessionId: TASK_ID, startedAt: TIME, seenAt: TIME, expiresAt: TIME };
const tree = readCommandTree(buildProgram());

/** Lines, and words that complete them. */
const CASES: readonly (readonly [line: string, ...words: string[]])[] = [
  ["spool li", "list"],
  ["spool list --st", "--status"],
  ["spool list --status ", "pending", "running", "succeeded", "failed", "cancelled"],
  ["spool list --status=pe", "pending"],
  ["spool list --status pending --st", "--status"],
  ["spool serve --log-level ", "trace", "silent"],
  ["spool serve --log-format ", "auto", "json", "pretty"],
  ["spool serve --unknown-kinds ", "wait", "refuse"],
  ["spool --json context ", "add", "list", "use", "show", "remove"],
  ["spool --address 127.0.0.1:1 context re", "remove"],
  ["spool help fo", "follow"],
  ["spool completion ", "bash", "zsh", "fish"],
];

for (const shell of SHELLS) {
  describe(`the completion script of ${shell}${shell === "fish" ? " @slow" : ""}`, function () {
    this.timeout(TIMEOUT_MS);
    let opened: CompletingShell;
    before(async function () {
      if (!isInstalled(shell)) return this.skip();
      opened = await openShell(shell);
    });
    after(() => opened?.[Symbol.asyncDispose]());

    it("completes commands, options and values", async () => {
      const completed = await opened.complete(CASES.map(([line]) => line));
      for (const [index, [line, ...words]] of CASES.entries()) {
        const shown = completed[index]!.map((word) => word.replace(/^--status=/, ""));
        for (const word of words) assert.ok(shown.includes(word), `${line}: ${word} is not in ${shown.join(" ")}`);
      }
    });

    it("completes every command and every option of the program", async () => {
      const lines = tree.flatMap(({ path }) => [`${path} `, `${path} --`]);
      const local = { SPOOL_ADDRESS: "127.0.0.1:1" }; // No list of a server.
      const completed = await opened.complete(lines, local);
      for (const [index, { path, commands, options }] of tree.entries()) {
        for (const { name } of commands) assert.ok(completed[2 * index]!.includes(name), `${path} ${name}`);
        const long = options.flatMap(({ flags }) => flags.filter((flag) => flag.startsWith("--")));
        for (const flag of long) assert.ok(completed[2 * index + 1]!.includes(flag), `${path} ${flag}`);
      }
    });

    it("completes task ids, kinds and contexts, at the server that the line names", async () => {
      await using server = await serveScript({
        listTasks: ({ taskIdPrefix }) => ({ tasks: TASK_ID.startsWith(taskIdPrefix) ? [taskMessage()] : [] }),
        listSessions: () => ({ sessions: [{ ...SESSION, kinds: ["echo", "ingest"] }] }),
      });
      await using folder = await mkdtempDisposable(join(tmpdir(), "spool-contexts-"));
      const environment = { XDG_CONFIG_HOME: folder.path };
      for (const name of ["near", "far"]) {
        await runSpool(["context", "add", name, "--address", server.address], { environment });
      }
      const [tasks, prefixed, kinds, contexts, used] = await opened.complete(
        [
          `spool --address ${server.address} get `,
          `spool cancel --context near ${TASK_ID.slice(0, 9)}`,
          `spool --context near start `,
          "spool --context ",
          "spool context use n",
        ],
        environment,
      );
      assert.ok(tasks!.includes(TASK_ID), tasks!.join(" "));
      assert.ok(prefixed!.includes(TASK_ID), prefixed!.join(" "));
      assert.ok(kinds!.includes("echo") && kinds!.includes("ingest"), kinds!.join(" "));
      assert.ok(contexts!.includes("near") && contexts!.includes("far"), contexts!.join(" "));
      assert.ok(used!.includes("near"), used!.join(" "));
    });

    it("shows no error if the server is unreachable or the contexts are unreadable", async () => {
      const environment = { XDG_CONFIG_HOME: join(import.meta.dirname, "complete.bash"), SPOOL_ADDRESS: "127.0.0.1:1" };
      const lines = ["spool get ", "spool --context none get ", "spool start --address none:x "];
      const completed = await opened.complete(lines, environment);
      assert.doesNotMatch(completed.flat().join(" "), /error|spool:|unreachable|ECONNREFUSED/i);
    });
  });
}

describe("the completion script of zsh in a folder of $fpath", () => {
  it("is loaded at the first completion", async function () {
    if (!isInstalled("zsh")) return this.skip();
    await using shell = await openShell("zsh");
    const completed = await shell.complete(["spool comp", "spool vers"], { SPOOL_FPATH: "1" });
    assert.ok(completed[0]!.includes("completion") && completed[1]!.includes("version"), completed.join(" "));
  }).timeout(TIMEOUT_MS);
});

describe("spool __complete", () => {
  it("ends without a word if the server does not answer", async () => {
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const ended = await runSpool(["__complete", "tasks", "", "--address", `127.0.0.1:${port}`]);
    silent.close();
    assert.deepEqual(ended, { code: 0, stdout: "", stderr: "" });
  }).timeout(ANSWER_MS);
});

describe("spool completion", () => {
  it("rejects an unknown shell, and names the known ones", async () => {
    const { code, stderr } = await runSpool(["completion", "tcsh"]);
    assert.equal(code, 2);
    assert.match(stderr, /'tcsh' is invalid.*Allowed choices are bash, zsh, fish/);
  });

  it("knows every command and every option of the program, and the values of task ids, kinds and files", () => {
    const commandsOf = (command: Command, path: string): string[] => [
      path,
      ...command.commands.flatMap((child) => commandsOf(child, `${path} ${child.name()}`)),
    ];
    const paths = commandsOf(buildProgram(), "spool").filter((path) => path !== "spool __complete");
    assert.deepEqual(
      tree.map(({ path }) => path).filter((path) => path !== "spool help"),
      paths,
    );
    const optionOf = (path: string, flag: string) =>
      tree.find((node) => node.path === path)?.options.find(({ flags }) => flags.includes(flag))?.values;
    assert.equal(optionOf("spool serve", "--kinds"), "files");
    assert.equal(optionOf("spool list", "--kind"), "kinds");
    for (const { path, arguments: values } of tree) {
      if (/^spool (get|follow|events|result|cancel|open)$/.test(path)) assert.deepEqual(values, ["tasks"], path);
      if (path === "spool delete") assert.ok(values.length > 1 && values.every((value) => value === "tasks"));
    }
  });
});
