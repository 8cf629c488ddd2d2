import { troubleFault } from "./trouble.ts";

/** The role of the servers has another password. */
export const passwordChange = troubleFault({
  name: "password-change",
  trouble: "changed password",
  holdMs: [300, 3_000],
});
