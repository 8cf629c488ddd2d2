import { between, chance, choose } from "../workload/choices.ts";
import { faultOfService } from "./fault.ts";

const SKIPPED_MAX = 5;

/** The answer of a committed flush or transition is lost between Postgres and a server. */
export const lostCommit = faultOfService({
  name: "lost-commit",
  lane: "commits",
  async inject({ databases }, { random, hold }) {
    const { name, proxy } = choose(random, databases);
    const isFlush = chance(random, 0.7);
    let isCut = false;
    const skipped = Math.floor(between(random, 0, SKIPPED_MAX));
    const cut = isFlush ? proxy.cutAnswerTo("spool_flush", skipped) : proxy.cutCommitOf("spool_transition");
    // While the database is down, there is nothing to cut.
    await Promise.race([cut.then(() => (isCut = true)), hold(3_000, 4_000)]);
    proxy.disarm();
    return isCut ? { target: name, statement: isFlush ? "flush" : "transition" } : null;
  },
});
