import { defineKinds } from "../../src/kinds/define-kind.ts";

/** A package that cannot be opened. */
export const unopened = defineKinds({
  name: "unopened",
  open: () => {
    throw new Error("no licence");
  },
});
