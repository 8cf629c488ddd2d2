import type { Connections, LockHolder, ServerSettings } from "../store/reports/server-health.ts";
import { unsupportedProduct } from "../store/connection/supported-products.ts";
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

// Evaluates measurements of the database server.

/** @param where host, port and database, without a password */
export function evaluateRoundTrip({ where, roundTripMs }: { where: string; roundTripMs: number }): Finding {
  return graded(grade(roundTripMs, ROUND_TRIP_MS), `${where} answers in ${durationText(roundTripMs)}`, {
    todo: "every commit takes at least this long: move the servers closer to the database, or check its load",
    section: "Spool doctor",
  });
}

/**
 * @param isEmbedded whether Postgres runs in process, where commits are not synced and no other client connects
 * @param isPooled whether a pooler in transaction mode is in between
 */
export function evaluateSettings(
  settings: ServerSettings,
  { isEmbedded = false, isPooled = false }: { isEmbedded?: boolean; isPooled?: boolean } = {},
): Finding {
  const version = `PostgreSQL ${settings.version}`;
  const advice = (todo: string) => ({ todo, section: "Spool doctor" }) as const;
  const unsupported = unsupportedProduct(settings.product);
  if (unsupported !== null) {
    return { status: "fail", found: unsupported, ...advice("set SPOOL_DATABASE_URL to a Postgres database") };
  }
  if (settings.distributionProblem !== null) {
    return {
      status: "fail",
      found: settings.distributionProblem,
      ...advice("undistribute the schema: see docs/shards.md"),
    };
  }
  if (settings.versionNumber < POSTGRES_VERSION_MIN) {
    const found = `${version} is older than ${POSTGRES_VERSION_MIN / 10_000}, the oldest supported version`;
    return { status: "fail", found, ...advice("upgrade the database server") };
  }
  if (settings.isReadOnly) {
    const found = `${version} rejects writes: it is a standby, or default_transaction_read_only is on`;
    return { status: "fail", found, ...advice("set SPOOL_DATABASE_URL to the primary") };
  }
  if (settings.encoding !== "UTF8") {
    const found = `${version}, database encoding ${settings.encoding}: Spool requires UTF8, and servers refuse to start`;
    const todo = "create a database with `encoding 'UTF8' template template0`, and set SPOOL_DATABASE_URL to it";
    return { status: "fail", found, ...advice(todo) };
  }
  if (isEmbedded) return ok(`${version}, in process`);
  if (isPooled) {
    const found = `${version} behind a pooler in transaction mode: prepared statements and LISTEN fail`;
    const todo = "bypass the pooler, or use its session mode";
    return { status: "fail", found, todo, section: "Several servers" };
  }
  const lossy = (["fsync", "full_page_writes"] as const).filter((name) => settings[name] === "off");
  if (lossy.length > 0) {
    const found = `${version} with ${lossy.join(" and ")} off: acknowledged writes may be lost when its machine crashes`;
    return { status: "fail", found, ...advice(`turn ${lossy.join(" and ")} on`) };
  }
  if (settings.autovacuum === "off") {
    const found = `${version} with autovacuum off: tables and indexes grow without bound`;
    return { status: "warn", found, ...advice("turn autovacuum on") };
  }
  return ok(version);
}

export function evaluateConnections({ used, max }: Connections): Finding {
  const left = Math.max(0, max - used);
  const status = left === 0 ? "fail" : left < SERVER_CONNECTIONS ? "warn" : "ok";
  return graded(status, `${used} of ${max} connections used, ${left} free; a server needs ${SERVER_CONNECTIONS}`, {
    todo: "raise max_connections, or close connections of other programs",
    section: "Spool doctor",
  });
}

export function evaluateTransactions({ holders, unseen }: { holders: readonly LockHolder[]; unseen: number }): Finding {
  const hidden =
    unseen === 0 ? "" : `; ${countText(unseen, "transaction")} of other roles not visible (needs pg_read_all_stats)`;
  const [first] = holders;
  if (first === undefined) return ok(`no long transaction holds locks on Spool's tables${hidden}`);
  const others = holders.length > 1 ? `, and ${holders.length - 1} more` : "";
  const state = first.isIdle ? "idle in a transaction" : "active in a transaction";
  const holder = `process ${first.pid} (${first.application || "no application name"}, ${first.user})`;
  const waiting = first.waiting === 0 ? "" : `, ${first.waiting} waiting for them`;
  const locks = `with locks on ${first.tables.join(", ")}`;
  const idle = holders.filter(({ isIdle }) => isIdle).map(({ forMs }) => grade(forMs, IDLE_TRANSACTION_MS));
  const found = `${holder} has been ${state} for ${durationText(first.forMs)} ${locks}${waiting}${others}${hidden}`;
  return graded(worst(["warn", ...idle]), found, {
    todo: `end the transaction in its program, or run: select pg_terminate_backend(${first.pid})`,
    section: "Inspecting the database with psql",
  });
}

/**
 * @param differenceMs the database's clock minus this machine's, at the middle of the round trip
 * @param roundTripMs twice the uncertainty of differenceMs
 */
export function evaluateClock({ differenceMs, roundTripMs }: { differenceMs: number; roundTripMs: number }): Finding {
  const uncertainMs = roundTripMs / 2;
  const side = differenceMs >= 0 ? "ahead of" : "behind";
  const size = `${durationText(Math.abs(differenceMs))} (± ${durationText(uncertainMs)})`;
  const certainMs = Math.abs(differenceMs) - uncertainMs;
  return graded(grade(certainMs, CLOCK_DIFFERENCE_MS), `the database's clock is ${size} ${side} this machine's`, {
    todo: "run NTP on both: the database's clock decides, so times set by callers here are off by this difference",
    section: "Spool doctor",
  });
}
