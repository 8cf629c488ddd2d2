import { access } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import * as v from "valibot";
import { defineKind } from "../../src/kinds/define-kind.ts";

// Kinds whose code takes its process down, each in a way of its own, and one that has nothing to do with it.

const WAYS = {
  "an error in a timer": () => {
    setImmediate(() => {
      throw new Error("thrown in a timer");
    });
  },
  "a rejection that nobody handles": () => {
    void Promise.reject(new Error("rejected for nobody"));
  },
  "an exit": () => process.exit(0),
  "an exit later": () => {
    setImmediate(() => process.exit(0));
  },
  "a heap that is full": () => {
    const kept: number[][] = [];
    for (;;) kept.push(Array.from({ length: 100_000 }, (_, index) => index + 0.5));
  },
} satisfies Record<string, () => void>;

export type Way = keyof typeof WAYS;

/** Takes its process down. */
export const poison = defineKind({
  name: "poison",
  params: v.strictObject({ way: v.picklist(Object.keys(WAYS) as [Way, ...Way[]]) }),
  retry: { initialBackoffMs: 1 },
  async run({ params: { way }, ...task }) {
    await task.log("INFO", "about to");
    await task.flush();
    WAYS[way]();
    await setTimeout(60_000, undefined, { signal: task.signal });
  },
});

/** Waits for a file, and succeeds. */
export const neighbour = defineKind({
  name: "neighbour",
  params: v.strictObject({ file: v.string() }),
  retry: { initialBackoffMs: 1 },
  async run({ params: { file }, signal }) {
    for (;;) {
      const isThere = await access(file).then(
        () => true,
        () => false,
      );
      if (isThere) return;
      await setTimeout(20, undefined, { signal });
    }
  },
});
