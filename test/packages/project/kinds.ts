import { defineKind, TaskError } from "@spooltape/client";
import * as v from "valibot";

/** Greets by name, as the kinds of a user in TypeScript do. */
export const greet = defineKind({
  name: "greet",
  params: v.strictObject({ name: v.pipe(v.string(), v.minLength(1)) }),
  async run({ params: { name }, progress }): Promise<{ greeting: string }> {
    await progress("greet", 1, 1);
    if (name === "nobody") throw new TaskError("NOBODY", "there is nobody to greet", { retryable: false });
    return { greeting: `hello ${name}` };
  },
});
