import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "./checker/check.ts";
import { legalHistory } from "./checker/model/legal-history.ts";
import type { HistoryLine } from "./history.ts";
import { endsOfStreams, mergeHistories, namedTasks } from "./merge-histories.ts";
import { readHistory, Recorder, writeHistory } from "./recorder.ts";

const read = (at: number, taskId: string): HistoryLine => ({
  type: "read_sent",
  at,
  client: "c",
  call: at,
  namespace: "n",
  taskId,
});

describe("the histories of several processes", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "spool-histories-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("are merged in the order of time, a fault by its end", () => {
    const fault: HistoryLine = { type: "fault", at: 1, name: "server-kill", until: 4, details: { target: "server-1" } };
    const merged = mergeHistories([[fault, read(5, "a")], [read(2, "b")], [read(3, "c"), read(5, "d")]]);
    assert.deepEqual(
      merged.map((line) => (line.type === "read_sent" ? line.taskId : line.type)),
      ["b", "c", "fault", "a", "d"],
    );
  });

  it("are written and read again, without half a line of a process that was killed", async () => {
    const path = join(folder, "seen.jsonl");
    {
      using recorder = new Recorder(path);
      recorder.add(read(1, "a"));
      recorder.add(read(2, "b"));
    }
    appendFileSync(path, JSON.stringify(read(3, "c")).slice(0, -20));
    const lines = await readHistory(path);
    assert.deepEqual(lines, [read(1, "a"), read(2, "b")]);
    await writeHistory(join(folder, "all.jsonl"), lines);
    assert.deepEqual(await readHistory(join(folder, "all.jsonl")), lines);
  });

  it("end the streams of a process that was killed, with the last thing that it saw", () => {
    const ended = { type: "ended", follower: "over", taskId: "a", reason: "final" } as const;
    const opened = (at: number, follower: string): HistoryLine => ({
      type: "opened",
      at,
      follower,
      namespace: "n",
      taskId: "a",
      fromSeq: 1,
      view: "recorded",
    });
    const lines: HistoryLine[] = [
      opened(1, "over"),
      opened(2, "cut"),
      { type: "tasks_opened", at: 3, follower: "many", namespace: "n", cursor: null, fromStart: true, kinds: [] },
      { at: 4, ...ended },
      read(5, "a"),
    ];
    assert.deepEqual(endsOfStreams(lines), [
      { type: "ended", at: 5, follower: "cut", taskId: "a", reason: "left" },
      { type: "tasks_ended", at: 5, follower: "many", namespace: "n", reason: "left" },
    ]);
  });

  it("name the tasks of all answers", () => {
    for (const seed of [1, 2, 3]) {
      const lines = legalHistory(seed);
      const settled = lines.flatMap((line) => (line.type === "settled" ? [line.taskId] : []));
      assert.ok(settled.length > 0);
      const named = namedTasks(lines);
      assert.deepEqual(settled.filter((taskId) => !named.has(taskId)), []); // prettier-ignore
    }
  });

  it("break no promise if a follower of some was killed, and look so without the ends of its streams", () => {
    let looksBroken = 0;
    for (let seed = 1; seed <= 20; seed++) {
      const lines = legalHistory(seed);
      const ofFollower = (line: HistoryLine) => ("follower" in line ? line.follower : null);
      for (const follower of new Set(lines.flatMap((line) => ofFollower(line) ?? []))) {
        const [own = [], others = []] = [true, false].map((isOwn) =>
          lines.filter((line) => (ofFollower(line) === follower) === isOwn),
        );
        const seen = own.slice(0, own.length / 2);
        assert.deepEqual(check(mergeHistories([others, [...seen, ...endsOfStreams(seen)]])), [], `${seed} ${follower}`);
        looksBroken += check(mergeHistories([others, seen])).length;
      }
    }
    assert.ok(looksBroken > 0);
  });
});
