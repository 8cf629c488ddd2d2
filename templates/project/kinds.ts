import { defineKind, TaskError } from "@spooltape/client";
import * as v from "valibot";

/** Counts the words of texts. Replace it by work of your own. */
export const countWords = defineKind({
  name: "count-words",
  // Any Standard Schema: valibot, zod, arktype. The server stores no task whose params are invalid.
  params: v.strictObject({ texts: v.array(v.string()) }),
  // A task has three attempts, unless its start says otherwise.
  retry: { maxAttempts: 3 },
  async run({ params, signal, ...task }) {
    if (params.texts.length === 0) throw new TaskError("NO_TEXTS", "give at least one text", { retryable: false });
    let words = 0;
    for (const [index, text] of params.texts.entries()) {
      // The signal fires when the task is cancelled or times out, and when the worker stops.
      signal.throwIfAborted();
      words += text.split(/\s+/).filter(Boolean).length;
      await task.progress("count", index + 1, params.texts.length);
    }
    return { words };
  },
});
