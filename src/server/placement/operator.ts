import { userInfo } from "node:os";
import type { Kysely, Transaction } from "kysely";
import { pino } from "pino";
import type { Act } from "../../domain/audit-event.ts";
import { audited } from "../../engine/access/audited.ts";
import type { Database } from "../../store/schema.ts";

const SILENT = pino({ level: "silent" });

/**
 * Changes the first shard, and appends the acts to the audit log in the same commit. The commands run with the rights of
 * the database, so the log names the user of the machine.
 */
export function changeAsOperator<Result>(
  db: Kysely<Database>,
  change: (trx: Transaction<Database>, record: (act: Omit<Act, "actor">) => void) => Promise<Result>,
): Promise<Result> {
  const actor = operatorName();
  return audited({ db, log: SILENT }, (trx, record) => change(trx, (act) => record({ ...act, actor })));
}

/** Returns the name of an operator in the audit log. */
export function operatorName(): string {
  return `operator ${userInfo().username}`;
}
