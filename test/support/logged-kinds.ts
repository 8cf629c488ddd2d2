import * as v from "valibot";
import { defineKind } from "../../src/kinds/define-kind.ts";

/** Brings down the process that runs it, by an error that nobody can catch. */
export const crash = defineKind({
  name: "crash",
  params: v.strictObject({}),
  async run({ signal }) {
    setImmediate(() => {
      throw new Error("no way to postgres://spool:hunter2@db.example/spool", { cause: new Error("Bearer hunter2") });
    });
    await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    return {};
  },
});

/** Says what it was given in all that it may say, and gives it back. */
export const confide = defineKind({
  name: "confide",
  params: v.strictObject({ secret: v.string() }),
  async run({ params: { secret }, ...task }) {
    await task.log("INFO", secret);
    await task.progress("confide", 1, 1, { secret });
    await task.partial("confided", { secret });
    return { secret };
  },
});
