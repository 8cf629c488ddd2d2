import { mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { defineKind } from "@spooltape/client";

const FOLDER = join(tmpdir(), "spool-reports");

/** Writes a report into a file of the task, and deletes the file after the task was removed. */
export const storedReport = defineKind({
  name: "stored-report",
  params: v.strictObject({ lines: v.array(v.string()) }),
  async run({ taskId, params }) {
    await mkdir(FOLDER, { recursive: true });
    const file = join(FOLDER, taskId);
    await writeFile(file, params.lines.join("\n"));
    return { file };
  },
  async onRemoved({ taskId }) {
    await rm(join(FOLDER, taskId), { force: true });
  },
});
