import { sqlstateOf } from "../errors.ts";

const LACKS =
  "Spool needs Postgres 15 or newer, with row locks across a table, the transaction numbers of rows (xmin), " +
  "and LISTEN";

/** Products that clients of Postgres can connect to and that Spool does not run on, by what `version()` returns. */
const UNSUPPORTED: readonly [RegExp, string][] = [
  [/^CockroachDB/, "CockroachDB"],
  [/-YB-/, "YugabyteDB"],
  [/Redshift/, "Amazon Redshift"],
  [/Greenplum/, "Greenplum"],
  [/Materialize/, "Materialize"],
];

/** @returns why Spool does not run on a server; null if it may. @param version what `version()` returns */
export function unsupportedProduct(version: string): string | null {
  const product = UNSUPPORTED.find(([pattern]) => pattern.test(version))?.[1];
  return product === undefined ? null : `the database is ${product}: ${LACKS}`;
}

/** Returns why Spool does not run on a server that refuses the statement of prepareSession. */
export function refusedSession(version: string, refusal: string): string {
  return unsupportedProduct(version) ?? `the database refuses what Spool needs (${refusal}; ${version}): ${LACKS}`;
}

/** Classes of SQLSTATE for a statement that the server does not understand, or has not built. */
const UNKNOWN_CLASSES = ["0A", "42"];

/** Whether a server has answered that it does not know something in a statement. */
export function isUnknownToServer(error: unknown): boolean {
  return UNKNOWN_CLASSES.includes(sqlstateOf(error)?.slice(0, 2) ?? "");
}
