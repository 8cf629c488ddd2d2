import assert from "node:assert/strict";
import { once } from "node:events";
import { LogLevel, SeriesMode } from "../../src/gen/spool/v1/event_pb.ts";
import { TaskStatus } from "../../src/gen/spool/v1/task_pb.ts";
import { event, failure, final, frame, log, progress, serveScript, tape } from "../client/scripted-server.ts";
import { TASK_ID, taskMessage } from "../client/scripted-server.ts";
import type { Script } from "../client/scripted-server.ts";
import { runSpool, spawnSpool } from "./spool-process.ts";

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /;

describe("spool follow", () => {
  it("prints one line for each event if standard output is not a terminal", async () => {
    const { code, stdout, stderr } = await follow([
      event(1, { case: "started", value: { kind: "echo", attempt: 1 } }),
      event(2, { case: "progress", value: { phase: "read", current: 2n, total: 3n, detail: { file: "a" } } }),
      event(3, { case: "progress", value: { phase: "read", current: 7n, total: 0n } }),
      log(4, "careful", LogLevel.WARN),
      event(5, { case: "partial", value: { kind: "item", payload: { n: 1 } } }),
      event(6, { case: undefined }),
      event(7, { case: "cancelRequested", value: { reason: "" } }),
      final(8),
    ]);
    assert.equal(stderr, "");
    assert.equal(code, 0);
    const lines = stdout.trimEnd().split("\n");
    assert.ok(lines.every((line) => TIME.test(line)));
    assert.deepEqual(
      lines.map((line) => line.replace(TIME, "")),
      [
        "1 started echo, attempt 1",
        '2 progress read 2/3 66% {"file":"a"}',
        "3 progress read 7",
        "4 WARN careful",
        '5 partial item {"n":1}',
        "7 cancel requested",
        "8 succeeded",
      ],
    );
  });

  it("prints one JSON object for each event, and nothing else, with --json", async () => {
    const events = [progress(1), event(2, { case: undefined }), log(3, "\u009b31m\u001b]0;x"), final(4)];
    const { stdout, stderr } = await follow(events, ["--json"]);
    assert.equal(stderr, "");
    assert.ok(!/[^\P{Cc}\n]/u.test(stdout), "control characters are escaped");
    const objects = stdout.trimEnd().split("\n");
    assert.deepEqual(
      objects.map((line) => JSON.parse(line)),
      [
        { seq: 1, time: "2026-01-02T03:04:05.679Z", type: "progress", phase: "echo", current: 1, total: 5 },
        { seq: 3, time: "2026-01-02T03:04:05.681Z", type: "log", level: "INFO", message: "\u009b31m\u001b]0;x" },
        { seq: 4, time: "2026-01-02T03:04:05.682Z", type: "final", status: "succeeded", result: { echoed: 4 } },
      ].map((object) => ({ task_id: TASK_ID, ...object })),
    );
  });

  it("prints the text of a series on lines of its own, with the seqs that it covers, with --folded", async () => {
    const part = (text: string, name: string, count: bigint) => ({
      partial: { kind: "delta", payload: { text }, series: { name, mode: SeriesMode.APPEND, field: "text" } },
      count,
      firstSeq: 2n,
      lastSeq: 9n,
    });
    const state = {
      partial: { kind: "state", payload: { step: 7 }, series: { name: "s", mode: SeriesMode.LATEST } },
      count: 2n,
      firstSeq: 3n,
      lastSeq: 7n,
    };
    const parts = [part("To\nkyo\u001b[31m", "answer", 6n), state];
    const events = [progress(1), event(9, { case: "folded", value: { firstSeq: 2n, parts } }), final(10)];
    const { stdout } = await follow(events, ["--folded"]);
    const [, ...lines] = stdout
      .replace(/^\S+Z /gm, "")
      .trimEnd()
      .split("\n");
    assert.deepEqual(lines, [
      "2-9 partial delta answer, 6 events:",
      "  To",
      "  kyo\\u001b[31m",
      'partial state s, 2 events {"step":7}',
      "10 succeeded",
    ]);
    const json = await follow(events, ["--folded", "--json"]);
    const shown = JSON.parse(json.stdout.split("\n")[1]!) as { first_seq: number; parts: object[] };
    assert.equal(shown.first_seq, 2);
    assert.deepEqual(shown.parts[1], {
      kind: "state",
      payload: { step: 7 },
      series: { name: "s", mode: "latest" },
      count: 2,
      first_seq: 3,
      last_seq: 7,
    });
  });

  for (const [status, code] of [
    [TaskStatus.SUCCEEDED, 0],
    [TaskStatus.FAILED, 1],
    [TaskStatus.CANCELLED, 130],
  ] as const) {
    it(`exits with ${code} when the task ends with status ${status}`, async () => {
      assert.equal((await follow([progress(1), final(2, status)])).code, code);
    });
  }

  it("exits with the code for a finished task even if there is no event to print", async () => {
    const past = { events: [], lastSeq: 5n, status: TaskStatus.CANCELLED };
    const { code, stdout } = await withServer(
      {
        async *streamEvents() {
          yield past;
        },
      },
      (address) => runSpool(["follow", TASK_ID, "--from-seq", "6", "--address", address]),
    );
    assert.deepEqual([code, stdout], [130, ""]);
  });

  it("escapes every control character in the texts of a task", async () => {
    const evil = "\u001b[2J\u001b]0;owned\u0007\u009b31m\r\nfake line\u202e\u0000";
    const { stdout } = await follow(
      [
        event(1, { case: "started", value: { kind: evil, attempt: 1 } }),
        progress(2, 5, evil),
        log(3, evil, LogLevel.ERROR),
        event(4, { case: "partial", value: { kind: evil, payload: { [evil]: evil } } }),
        event(5, { case: "cancelRequested", value: { reason: evil } }),
        event(6, {
          case: "retrying",
          value: { error: { reason: evil, message: evil }, nextAttemptAt: { seconds: 1n } },
        }),
        final(7, TaskStatus.FAILED),
      ],
      ["--plain"],
    );
    assert.equal(stdout.trimEnd().split("\n").length, 7);
    assert.ok(!/[^\P{Cc}\n]|\p{Bidi_Control}/u.test(stdout), JSON.stringify(stdout));
    assert.match(stdout, /ERROR \\u001b\[2J/);
  });

  it("colors warnings and errors, unless NO_COLOR is set", async () => {
    const events = [log(1, "w", LogLevel.WARN), log(2, "e", LogLevel.ERROR), final(3)];
    const colored = await follow(events, [], { FORCE_COLOR: "1" });
    assert.ok(colored.stdout.includes("\u001b[33mWARN w\u001b[39m\n"));
    assert.ok(colored.stdout.includes("\u001b[31mERROR e\u001b[39m\n"));
    const plain = await follow(events, [], { NO_COLOR: "1" });
    assert.ok(!plain.stdout.includes("\u001b"));
  });

  it("reconnects after a lost connection, and reports the outage once", async () => {
    const whole = tape(6);
    const { promise: shown, resolve: onShown } = Promise.withResolvers<void>();
    const spool = await withServer(
      {
        async *streamEvents({ fromSeq }, { attempt }) {
          if (attempt === 2 || attempt === 3) throw failure("UNAVAILABLE", "still down");
          yield frame(whole.slice(Number(fromSeq) - 1, attempt === 1 ? 3 : 6));
          if (attempt > 1) return;
          await shown;
          throw failure("UNAVAILABLE", "going down", { reason: "DRAINING" });
        },
      },
      async (address) => {
        const spool = spawnSpool(["follow", TASK_ID, "--address", address]);
        void spool.waitForOutput(" 3 progress").then(onShown);
        return await spool.ended;
      },
    );
    assert.deepEqual(spool.stdout.match(/(?<=Z )\d+/g), ["1", "2", "3", "4", "5", "6"]);
    assert.equal(spool.stderr, "connection lost before event 4, reconnecting: going down\n");
    assert.equal(spool.code, 0);
  });

  it("reports how to resume when it gives up", async () => {
    const { code, stderr } = await withServer(
      {
        async *streamEvents() {
          yield frame([]);
          throw failure("UNAVAILABLE", "gone");
        },
      },
      (address) => runSpool(["follow", TASK_ID, "--retry", "0", "--address", address]),
    );
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`^gave up; to resume: {2}spool follow ${TASK_ID} --from-seq 1 .*\nspool: gone`));
  });

  it("detaches on Ctrl-C, reports that the task keeps running and how to resume, and exits with 3", async () => {
    const ended = await interrupted(["follow", TASK_ID, "--from-seq", "0"], "SIGINT");
    assert.equal(ended.code, 3);
    assert.match(ended.stderr, new RegExp(`^detached: task ${TASK_ID} keeps running\n`));
    assert.match(ended.stderr, new RegExp(`to resume: {2}spool follow ${TASK_ID} --from-seq 3 --address [\\d.:]+\n`));
    assert.match(ended.stderr, new RegExp(`to cancel: {2}spool cancel ${TASK_ID} --address [\\d.:]+\n$`));
  });

  it("reports in JSON with --json that it detached", async () => {
    const { stderr } = await interrupted(["follow", TASK_ID, "--json"], "SIGINT");
    const { notice, task_id: taskId, come_back: resume } = JSON.parse(stderr);
    assert.deepEqual([notice, taskId], ["detached", TASK_ID]);
    assert.match(resume, /--from-seq 3/);
  });

  it("exits with 124 when its --timeout expires, and reports that the task keeps running", async () => {
    const ended = await interrupted(["follow", TASK_ID, "--timeout", "1500ms"], null);
    assert.equal(ended.code, 124);
    assert.match(ended.stderr, /^timed out: task .* keeps running\n.*--from-seq 3/s);
  });

  it("exits without a message when its reader closes the pipe", async () => {
    const tapeOf = Array.from({ length: 20_000 }, (_, index) => progress(index + 1, 20_000));
    await withServer(
      {
        async *streamEvents() {
          for (let from = 0; from < tapeOf.length; from += 500) yield frame(tapeOf.slice(from, from + 500));
        },
      },
      async (address) => {
        const { child, ended } = spawnSpool(["follow", TASK_ID, "--address", address]);
        await once(child.stdout, "data");
        child.stdout.destroy();
        const { code, stderr } = await ended;
        assert.deepEqual([code, stderr], [141, ""]);
      },
    );
  });

  it("reports at once that a task does not exist", async () => {
    const refusal = failure("NOT_FOUND", `there is no task ${TASK_ID}`, { reason: "TASK_NOT_FOUND" });
    const ended = await withServer({ getTask: () => Promise.reject(refusal) }, (address) =>
      runSpool(["follow", TASK_ID, "--address", address]),
    );
    assert.equal(ended.code, 1);
    const hint = "  to list tasks: spool list\n";
    assert.equal(ended.stderr, `spool: there is no task ${TASK_ID} (NOT_FOUND, TASK_NOT_FOUND)\n${hint}`);
  });
});

async function withServer<T>(script: Script, run: (address: string) => Promise<T>): Promise<T> {
  await using server = await serveScript({ getTask: () => ({ task: taskMessage() }), ...script });
  return await run(server.address);
}

function follow(events: Parameters<typeof frame>[0], words: string[] = [], environment: Record<string, string> = {}) {
  return withServer(
    {
      async *streamEvents() {
        yield frame(events);
      },
    },
    (address) => runSpool(["follow", TASK_ID, "--address", address, ...words], { environment }),
  );
}

/** Follows a task that records nothing after two events, until a signal or until the command exits by itself. */
function interrupted(words: string[], signal: NodeJS.Signals | null) {
  return withServer(
    {
      async *streamEvents(_, { cancelled }) {
        yield frame([progress(1), progress(2)]);
        await cancelled;
      },
    },
    async (address) => {
      const { child, waitForOutput, ended } = spawnSpool([...words, "--address", address]);
      if (signal) {
        await waitForOutput(words.includes("--json") ? '"seq":2' : " 2 progress");
        child.kill(signal);
      }
      return await ended;
    },
  );
}
