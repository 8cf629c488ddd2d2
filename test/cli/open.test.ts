import assert from "node:assert/strict";
import { chmod, mkdtempDisposable, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { serveScript, TASK_ID, taskMessage } from "../client/scripted-server.ts";
import { eventually } from "../support/eventually.ts";
import { runSpool } from "./spool-process.ts";

const URL_OF_TASK = `http://127.0.0.1:8080/#/tasks/${TASK_ID}`;

/** A folder with a program that opens URLs: it writes them to a file and ends with an exit code. */
async function installStarter(exitCode: number) {
  const folder = await mkdtempDisposable(join(tmpdir(), "spool-open-"));
  const opened = join(folder.path, "opened");
  for (const name of ["xdg-open", "open"]) {
    const program = join(folder.path, name);
    await writeFile(program, `#!/bin/sh\nprintf '%s\\n' "$@" >'${opened}'\nexit ${exitCode}\n`);
    await chmod(program, 0o700);
  }
  return {
    environment: { PATH: [folder.path, dirname(process.execPath), "/usr/bin", "/bin"].join(delimiter) },
    opened: () => readFile(opened, "utf8"),
    [Symbol.asyncDispose]: () => folder.remove(),
  };
}

describe("spool open", () => {
  it("opens the task's page in the browser, and prints the URL", async () => {
    await using starter = await installStarter(0);
    const { code, stdout, stderr } = await runSpool(["open", TASK_ID], starter);
    assert.deepEqual([code, stdout, stderr], [0, `${URL_OF_TASK}\n`, ""]);
    await eventually(async () => assert.equal(await starter.opened(), `${URL_OF_TASK}\n`));
  });

  it("prints the URL, and why no browser opened it", async () => {
    await using starter = await installStarter(3);
    const { code, stdout, stderr } = await runSpool(["open", TASK_ID], starter);
    assert.deepEqual([code, stdout], [0, `${URL_OF_TASK}\n`]);
    assert.match(stderr, /^no browser opened: (xdg-)?open ended with 3; open the URL yourself\n$/);
    const none = await runSpool(["open", TASK_ID, "--json"], { environment: { PATH: dirname(process.execPath) } });
    assert.deepEqual(JSON.parse(none.stdout), { task_id: TASK_ID, url: URL_OF_TASK, opened: false });
    assert.match(JSON.parse(none.stderr).problem, /open is not installed/);
  });

  it("with --print starts no browser", async () => {
    await using starter = await installStarter(0);
    const { code, stdout, stderr } = await runSpool(["open", TASK_ID, "--print"], starter);
    assert.deepEqual([code, stdout, stderr], [0, `${URL_OF_TASK}\n`, ""]);
    await assert.rejects(starter.opened(), /ENOENT/);
  });

  it("resolves a prefix of the task id", async () => {
    await using server = await serveScript({ listTasks: () => ({ tasks: [taskMessage()] }) });
    const { stdout } = await runSpool(["open", TASK_ID.slice(0, 8), "--print", "--address", server.address]);
    assert.equal(stdout, `${URL_OF_TASK}\n`);
  });

  it("takes the URL of the console from the flag, the variable, the context, or the address", async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), "spool-open-"));
    const contexts = { XDG_CONFIG_HOME: folder.path };
    const web = ["--http-address", "https://of.context/spool"];
    await runSpool(["context", "add", "far", "--address", "https://grpc.example:443", ...web, "--use"], {
      environment: contexts,
    });
    const base = async (words: string[], environment: Record<string, string> = {}) =>
      (await runSpool(["open", TASK_ID, "--print", ...words], { environment })).stdout.split("#")[0];
    const variable = { SPOOL_HTTP_ADDRESS: "http://of.variable:1" };
    assert.equal(await base(["--http-address", "http://of.flag"], variable), "http://of.flag/");
    assert.equal(await base([], variable), "http://of.variable:1/");
    assert.equal(await base([], contexts), "https://of.context/spool/");
    assert.equal(await base(["--context", "far"], { ...contexts, ...variable }), "https://of.context/spool/");
    assert.equal(await base(["--address", "https://spool.example:50051"], contexts), "https://spool.example:8080/");
    assert.equal(await base(["--address", "[::1]:50051"]), "http://[::1]:8080/");
    assert.equal(await base(["--address", "spool.example"]), "http://spool.example:8080/");
  });

  for (const [words, message] of [
    [["--address", "unix:/run/spool.sock"], /no URL of the console follows from the address unix:\/run\/spool\.sock/],
    [["--http-address", "spool.example"], /--http-address "spool\.example": must be a URL such as/],
    [["--http-address", "http://h/?a=1"], /must be a URL such as/],
  ] as [string[], RegExp][]) {
    it(`${words.join(" ")} exits with 2 and reports why`, async () => {
      const { code, stdout, stderr } = await runSpool(["open", TASK_ID, "--print", ...words]);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, message);
    });
  }
});
