import type { Connections, LockHolder, ServerSettings } from "../store/reports/server-health.ts";
import { grade, graded, ok, worst } from "./check.ts";
import type { Finding } from "./check.ts";
import { countText, durationText } from "./format.ts";
import {
  CLOCK_DIFFERENCE_MS,
  IDLE_TRANSACTION_MS,
  POSTGRES_VERSION_MIN,
  ROUND_TRIP_MS,
  SERVER_CONNECTIONS,
} from "./thresholds.ts";

// What is found of the database's server, from its figures.

/** @param where as people know it, without a password */
export function judgeRoundTrip({ where, roundTripMs }: { where: string; roundTripMs: number }): Finding {
  return graded(grade(roundTripMs, ROUND_TRIP_MS), `${where} answers in ${durationText(roundTripMs)}`, {
    todo: "every commit waits for it: bring the servers nearer to the database, or see what keeps it busy",
    section: "Spool doctor",
  });
}

/**
 * @param isEmbedded Postgres runs in process: it syncs no commit, and no transaction is but its own
 * @param isPooled a pooler in between lends its connections by the transaction
 */
export function judgeSettings(
  settings: ServerSettings,
  { isEmbedded = false, isPooled = false }: { isEmbedded?: boolean; isPooled?: boolean } = {},
): Finding {
  const version = `PostgreSQL ${settings.version}`;
  const advice = (todo: string) => ({ todo, section: "Spool doctor" }) as const;
  if (settings.versionNumber < POSTGRES_VERSION_MIN) {
    const found = `${version} is older than ${POSTGRES_VERSION_MIN / 10_000}, the oldest that Spool runs on`;
    return { status: "fail", found, ...advice("upgrade the database's server") };
  }
  if (settings.isReadOnly) {
    const found = `${version} takes no writes: it is a standby, or default_transaction_read_only is on`;
    return { status: "fail", found, ...advice("let SPOOL_DATABASE_URL name the primary") };
  }
  if (settings.encoding !== "UTF8") {
    const found = `${version} with a database in ${settings.encoding}: Spool needs UTF8, and its servers refuse to start`;
    const todo = "create a database with `encoding 'UTF8' template template0`, and let SPOOL_DATABASE_URL name it";
    return { status: "fail", found, ...advice(todo) };
  }
  if (isEmbedded) return ok(`${version}, in process`);
  if (isPooled) {
    const found = `${version} behind a pooler that lends a connection for a transaction: prepared statements and LISTEN fail`;
    const todo = "connect past the pooler, or in its session mode";
    return { status: "fail", found, todo, section: "Several servers" };
  }
  const lossy = (["fsync", "full_page_writes"] as const).filter((name) => settings[name] === "off");
  if (lossy.length > 0) {
    const found = `${version} with ${lossy.join(" and ")} off: what was acknowledged may be lost when its machine dies`;
    return { status: "fail", found, ...advice(`turn ${lossy.join(" and ")} on`) };
  }
  if (settings.autovacuum === "off") {
    const found = `${version} with autovacuum off: tables and indexes grow without end`;
    return { status: "warn", found, ...advice("turn autovacuum on") };
  }
  return ok(version);
}

export function judgeConnections({ used, max }: Connections): Finding {
  const left = Math.max(0, max - used);
  const status = left === 0 ? "fail" : left < SERVER_CONNECTIONS ? "warn" : "ok";
  return graded(status, `${used} of ${max} connections are taken, ${left} left; a server takes ${SERVER_CONNECTIONS}`, {
    todo: "raise max_connections, or close what others keep open",
    section: "Spool doctor",
  });
}

export function judgeTransactions({ holders, unseen }: { holders: readonly LockHolder[]; unseen: number }): Finding {
  const hidden = unseen === 0 ? "" : `; ${countText(unseen, "transaction")} of roles that this one may not look into`;
  const [first] = holders;
  if (first === undefined) return ok(`no transaction stands in the way of Spool's rows${hidden}`);
  const others = holders.length > 1 ? `, and ${holders.length - 1} more` : "";
  const state = first.isIdle ? "idle in a transaction" : "at work in one transaction";
  const who = `process ${first.pid} (${first.application || "no application name"}, ${first.user})`;
  const waiting = first.waiting === 0 ? "" : `, ${first.waiting} waiting for it`;
  const locks = `with locks on ${first.tables.join(", ")}`;
  const idle = holders.filter(({ isIdle }) => isIdle).map(({ forMs }) => grade(forMs, IDLE_TRANSACTION_MS));
  const found = `${who} has been ${state} for ${durationText(first.forMs)} ${locks}${waiting}${others}${hidden}`;
  return graded(worst(["warn", ...idle]), found, {
    todo: `end it where it belongs, or by: select pg_terminate_backend(${first.pid})`,
    section: "Inspecting the database with psql",
  });
}

/**
 * @param differenceMs the database's clock less this machine's, at the middle of the round trip
 * @param roundTripMs by half of which that may be wrong
 */
export function judgeClock({ differenceMs, roundTripMs }: { differenceMs: number; roundTripMs: number }): Finding {
  const uncertainMs = roundTripMs / 2;
  const side = differenceMs >= 0 ? "ahead of" : "behind";
  const size = `${durationText(Math.abs(differenceMs))} (± ${durationText(uncertainMs)})`;
  const certainMs = Math.abs(differenceMs) - uncertainMs;
  return graded(grade(certainMs, CLOCK_DIFFERENCE_MS), `the database's clock is ${size} ${side} this machine's`, {
    todo: "let both keep time by NTP: the database's counts, and times that callers here name are off by as much",
    section: "Spool doctor",
  });
}
