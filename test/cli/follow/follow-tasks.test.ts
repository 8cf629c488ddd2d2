import assert from "node:assert/strict";
import { final, failure, progress, serveScript, TASK_ID } from "../../client/scripted-server.ts";
import type { Script } from "../../client/scripted-server.ts";
import { runSpool, spawnSpool } from "../spool-process.ts";

const CURSOR = "1.AL7Aydat3IlQZpQiDbylYj.2f9-2f9-1a20da0abe7-";

function streaming(events: ReturnType<typeof progress>[]): NonNullable<Script["followTasks"]> {
  return async function* (_, { cancelled }) {
    yield { nextCursor: "first", tasks: [] };
    yield { nextCursor: CURSOR, tasks: [{ taskId: TASK_ID, kind: "echo", events }] };
    await cancelled;
  };
}

/** Runs the command until it has printed the last event, then interrupts it. */
async function interrupted(words: readonly string[], last: string) {
  await using server = await serveScript({ followTasks: streaming([progress(4), final(5)]) });
  const spool = spawnSpool(["follow", "--all", ...words, "--address", server.address]);
  await spool.waitForOutput(last);
  spool.child.kill("SIGINT");
  return await spool.ended;
}

describe("spool follow --all", () => {
  it("prints one line for each event with its task id, and on exit the command that resumes", async () => {
    const { code, stdout, stderr } = await interrupted(["--kind", "echo", "--label", "team=a b"], "5 succeeded");
    assert.equal(code, 3);
    assert.deepEqual(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.replace(/^\S+Z /, "")),
      [`${TASK_ID} 4 progress echo 4/5 80%`, `${TASK_ID} 5 succeeded`],
    );
    const words = `spool follow --all --kind echo --label 'team=a b' --cursor ${CURSOR} --address 127.0.0.1:`;
    assert.ok(stderr.startsWith(`detached; to resume:  ${words}`), stderr);
  });

  it("prints one JSON object for each event with --json", async () => {
    const { stdout, stderr } = await interrupted(["--json"], '"final"');
    const objects = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      objects.map(({ task_id: taskId, seq, type }) => [taskId, seq, type]),
      [
        [TASK_ID, 4, "progress"],
        [TASK_ID, 5, "final"],
      ],
    );
    const { notice, cursor } = JSON.parse(stderr);
    assert.deepEqual([notice, cursor], ["detached", CURSOR]);
  });

  it("sends --from-start, --cursor and --label to the server", async () => {
    const sent: unknown[] = [];
    await using server = await serveScript({
      // eslint-disable-next-line require-yield
      async *followTasks({ fromStart, cursor, kinds, labels }) {
        sent.push([fromStart, cursor, kinds, labels]);
        throw failure("INVALID_ARGUMENT", "cursor: must be a next_cursor", { reason: "INVALID_ARGUMENT" });
      },
    });
    for (const words of [["--from-start"], ["--cursor", CURSOR, "--label", "a=b"]]) {
      const { code, stderr } = await runSpool(["follow", "--all", ...words, "--address", server.address]);
      assert.deepEqual([code, stderr], [1, "spool: cursor: must be a next_cursor (INVALID_ARGUMENT)\n"]);
    }
    assert.deepEqual(sent, [
      [true, "", [], {}],
      [false, CURSOR, [], { a: "b" }],
    ]);
  });

  for (const [words, complaint] of [
    [[], "give either a task id or --all"],
    [[TASK_ID, "--all"], "give either a task id or --all"],
    [[TASK_ID, "--from-start"], "--from-start: not allowed without --all"],
    [[TASK_ID, "--label", "a=b"], "--label: not allowed without --all"],
    [["--all", "--from-seq", "3"], "--from-seq: not allowed with --all"],
    [["--all", "--from-start", "--cursor", "x"], "--cursor: not allowed with --from-start"],
  ] as const) {
    it(`rejects ${words.join(" ") || "a command line without task id and --all"}`, async () => {
      const { code, stderr } = await runSpool(["follow", ...words]);
      assert.equal(code, 2);
      assert.ok(stderr.includes(complaint), stderr);
    });
  }
});
