import { ROLE } from "../../fault/support/troubles.ts";
import { choose } from "../workload/choices.ts";
import { faultOfService } from "./fault.ts";

const TERMINATE = `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${ROLE}'`;

/** The role of the servers gets short timeouts, as by the rules of a database service. */
export const roleTimeout = faultOfService({
  name: "role-timeout",
  lane: "databases",
  async inject({ databases }, { random, hold }) {
    const { name, scene } = choose(random, databases);
    const setting = choose(random, ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"]);
    const ms = choose(random, [2, 10, 50]);
    // Only new connections have the setting, and without it again.
    const apply = async (change: string) => {
      await scene.operate(`alter role ${ROLE} ${change}`);
      await scene.operate(TERMINATE);
    };
    try {
      await apply(`set ${setting} = ${ms}`);
      await hold(500, 4_000);
    } finally {
      await apply(`reset ${setting}`);
    }
    return { target: name, setting, ms };
  },
});
