import { defineKind } from "@spooltape/client";
import * as v from "valibot";

/** Shouts a text, as the kinds of a user in JavaScript do. */
export const shout = defineKind({
  name: "shout",
  params: v.object({ text: v.string() }),
  run: async ({ params: { text } }) => ({ text: text.toUpperCase() }),
});
