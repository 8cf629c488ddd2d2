import assert from "node:assert/strict";
import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { ArchiveError } from "../../src/archive/archive-error.ts";
import { ArchiveParser } from "../../src/archive/archive-parser.ts";
import { readLines } from "../../src/archive/archive-lines-reader.ts";
import { ArchiveWriter } from "../../src/archive/archive-writer.ts";
import { compressFrame, frameSize } from "../../src/archive/zstd-frames.ts";
import { findResumePoint } from "../../src/cli/export/resume-export.ts";
import { endedTask, fileOf, HEADER, middleEvents } from "./arbitrary-tasks.ts";
import type { EndedTask } from "./arbitrary-tasks.ts";

const TIMEOUT_MS = 60_000;

/** Writes lines as an export does, but ends a frame after some of them. */
async function bytesOf(lines: readonly string[], isCompressed: boolean, endsFrame: (line: number) => boolean) {
  const written: Buffer[] = [];
  const write = (bytes: Buffer) => {
    written.push(bytes);
    return Promise.resolve();
  };
  const writer = new ArchiveWriter(write, { isCompressed });
  for (const [index, line] of lines.entries()) {
    await writer.add(line);
    if (endsFrame(index)) await writer.flush();
  }
  await writer.flush();
  return Buffer.concat(written);
}

/** Reads a file as an import does. @returns the complete tasks, and the error at the end, if any */
async function read(file: string): Promise<{ taskIds: string[]; error: unknown }> {
  const parser = new ArchiveParser(file);
  const taskIds: string[] = [];
  try {
    for await (const { lines } of readLines(file)) {
      for (const { text } of lines) {
        const item = parser.parse(text);
        if (item.type === "end") taskIds.push(item.end.taskId);
      }
    }
    parser.finish();
    return { taskIds, error: null };
  } catch (error) {
    return { taskIds, error };
  }
}

const file = fc.record({
  tapes: fc.array(middleEvents, { minLength: 1, maxLength: 4 }),
  isCompressed: fc.boolean(),
  frameLines: fc.integer({ min: 1, max: 5 }),
});

describe("a file of an export", function () {
  this.timeout(TIMEOUT_MS);

  it("that is cut anywhere has whole tasks up to the cut, and is resumed after the last of them", async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), "spool-archive-"));
    const path = join(folder.path, "tasks");
    const property = fc.asyncProperty(file, fc.double({ min: 0, max: 1, noNaN: true }), async (arbitrary, share) => {
      const { tapes, isCompressed, frameLines } = arbitrary;
      const tasks: EndedTask[] = tapes.map((events, index) => endedTask(tapes.length - index, events));
      const lines = fileOf(tasks);
      const isFrameEnd = (line: number) => line === 0 || line % frameLines === 0;
      const bytes = await bytesOf(lines, isCompressed, isFrameEnd);
      await writeFile(path, bytes);
      assert.deepEqual(await read(path), { taskIds: tasks.map(({ task }) => task.taskId), error: null });

      const headerBytes = isCompressed ? frameSize(bytes)! : Buffer.byteLength(lines[0]!);
      const cut = headerBytes + Math.floor(share * (bytes.length - headerBytes - 1));
      await writeFile(path, bytes.subarray(0, cut));
      const { taskIds, error } = await read(path);
      assert.ok(error instanceof ArchiveError);
      assert.deepEqual(taskIds, tasks.map(({ task }) => task.taskId).slice(0, taskIds.length));

      const point = (await findResumePoint(path, { asked: HEADER.asked, isCompressed }))!;
      assert.equal(point.lastTaskId, taskIds.at(-1) ?? null);
      assert.equal(point.counts.tasks, taskIds.length);
      assert.ok(point.offset <= cut);
      const left = tasks.slice(taskIds.length);
      const rest = [point.lines, ...fileOf(left).slice(1, -1), lines.at(-1)!].join("");
      await writeFile(
        path,
        Buffer.concat([bytes.subarray(0, point.offset), await bytesOf([rest], isCompressed, () => true)]),
      );
      assert.deepEqual(await read(path), { taskIds: tasks.map(({ task }) => task.taskId), error: null });
    });
    await fc.assert(property, { numRuns: 40 });
  });

  it("that is damaged anywhere is refused, or says the same", async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), "spool-archive-"));
    const path = join(folder.path, "tasks.zst");
    const tasks = [endedTask(2, []), endedTask(1, [])];
    const bytes = await bytesOf(fileOf(tasks), true, () => false);
    for (let at = 0; at < bytes.length; at += 7) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 0x10;
      await writeFile(path, damaged);
      const { taskIds, error } = await read(path);
      assert.ok(error instanceof ArchiveError || taskIds.length === 2, `byte ${at}: ${String(error)}`);
    }
  });

  it("is read over frames of every size, and over skippable frames", async () => {
    for (const size of [0, 1, 255, 256, 65_536 + 255, 65_536 + 256, 200_000]) {
      const frame = await compressFrame(Buffer.alloc(size, "spool "));
      assert.equal(frameSize(Buffer.concat([frame, frame])), frame.length);
      assert.equal(frameSize(frame.subarray(0, -1)), null);
    }
    const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    assert.equal(frameSize(skippable), skippable.length);
    assert.throws(() => frameSize(Buffer.from("no zstd frame")), /no zstd frame/);
  });
});
