import type { HorizonHolder, TableHealth } from "../store/reports/vacuum-health.ts";
import { grade, graded, ok, worst } from "./check.ts";
import type { Finding } from "./check.ts";
import { countText, durationText } from "./format.ts";
import { DEAD_ROWS, HORIZON_MS, HORIZON_XIDS, UNFROZEN_XIDS } from "./thresholds.ts";

// Evaluates what vacuum has to do, and what keeps it from its work.

/** Evaluates the dead and the unfrozen rows of the tables. */
export function evaluateVacuum(tables: readonly TableHealth[]): Finding {
  const section = "Vacuum and bloat";
  const old = tables.toSorted((one, other) => other.unfrozenXids - one.unfrozenXids)[0];
  const age = old === undefined ? "ok" : grade(old.unfrozenXids, UNFROZEN_XIDS);
  if (age !== "ok") {
    const found = `${old!.table} has rows that no vacuum has frozen for ${inMillions(old!.unfrozenXids)} transactions; Postgres stops writes at 2,100 million`;
    const todo = `run: vacuum (freeze) ${old!.table}; then see the check horizon`;
    return graded(age, found, { todo, section });
  }
  const off = tables.filter(({ isAutovacuumOff }) => isAutovacuumOff).map(({ table }) => table);
  if (off.length > 0) {
    const todo = `run for each: alter table ${off[0]} reset (autovacuum_enabled)`;
    return graded("warn", `autovacuum is off for ${off.join(", ")}`, { todo, section });
  }
  const full = tables.filter(({ deadRows, deadRowsMax }) => deadRows >= Math.max(DEAD_ROWS, 5 * deadRowsMax));
  const [first] = full;
  if (first === undefined) {
    const dead = tables.reduce((sum, { deadRows }) => sum + deadRows, 0);
    return ok(`${countText(dead, "dead row")}, within what autovacuum leaves`);
  }
  const others = full.length > 1 ? `, and ${full.length - 1} more such tables` : "";
  const since = first.vacuumedMs === null ? "no vacuum yet" : `last vacuum ${durationText(first.vacuumedMs)} ago`;
  const allowed = Math.round(first.deadRowsMax).toLocaleString("en");
  return graded(
    "warn",
    `${first.table} has ${countText(first.deadRows, "dead row")}, autovacuum cleans from ${allowed} on; ${since}${others}`,
    {
      todo: `see the check horizon: if nothing holds vacuum back, autovacuum is too slow or has no free worker; run: vacuum ${first.table}`,
      section,
    },
  );
}

/** Evaluates what holds back the removal of dead rows. @param holders the oldest snapshot first */
export function evaluateHorizon(holders: readonly HorizonHolder[]): Finding {
  const evaluated = holders.map((holder) => ({ holder, grade: gradeHolder(holder) }));
  const late = evaluated.filter(({ grade }) => grade !== "ok");
  const [first] = late;
  if (first === undefined) return ok("nothing holds back the removal of dead rows for long");
  const { type, name, who, forMs, xids } = first.holder;
  const how = forMs === null ? "" : ` for ${durationText(forMs)}`;
  const whose = who === "" ? name : `${name} (${who})`;
  const others = late.length > 1 ? `, and ${late.length - 1} more` : "";
  const found = `${type} ${whose} keeps dead rows from removal${how}, while ${countText(xids, "transaction")} began${others}`;
  return graded(worst(late.map(({ grade }) => grade)), found, { todo: TODO[type](name), section: "Vacuum and bloat" });
}

const TODO: Record<HorizonHolder["type"], (name: string) => string> = {
  session: (pid) => `end the transaction in its program, or run: select pg_terminate_backend(${pid})`,
  "prepared transaction": (gid) => `run: rollback prepared '${gid}', or commit it`,
  "replication slot": (slot) =>
    `bring back the standby or consumer of the slot, or run: select pg_drop_replication_slot('${slot}')`,
};

function gradeHolder({ forMs, xids }: HorizonHolder): "ok" | "warn" | "fail" {
  return forMs === null ? grade(xids, HORIZON_XIDS) : grade(forMs, HORIZON_MS);
}

function inMillions(count: number): string {
  return `${Math.round(count / 1e6).toLocaleString("en")} million`;
}
