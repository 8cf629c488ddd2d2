import { readFile } from "node:fs/promises";
import * as v from "valibot";
import { defineKind } from "@spooltape/client";

export const countWords = defineKind({
  name: "count-words",
  params: v.strictObject({ files: v.array(v.string()) }),
  async run({ params, signal, ...task }) {
    let words = 0;
    for (const [index, file] of params.files.entries()) {
      signal.throwIfAborted();
      words += (await readFile(file, "utf8")).split(/\s+/).filter(Boolean).length;
      await task.progress("count", index + 1, params.files.length, { file });
    }
    return { words };
  },
});
