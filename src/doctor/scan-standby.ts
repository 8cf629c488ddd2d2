import { databasePlace } from "../store/connection/database-url.ts";
import { openDatabase } from "../store/database.ts";
import { readIdentity, readLagBytes, readPosition, readTimeline } from "../store/standby/replay.ts";
import { grade, graded, ok } from "./check.ts";
import type { Finding } from "./check.ts";
import type { DoctorContext } from "./doctor-context.ts";
import { reasonOf } from "./findings.ts";
import { bytesText } from "./format.ts";
import { STANDBY_LAG_BYTES } from "./thresholds.ts";

const SECTION = "Reads from a standby";

/** Checks that the standby answers, is one of this database, and is not far behind. */
export async function scanStandby({ db, settings: { standbyUrl = null } }: DoctorContext): Promise<Finding> {
  // Not `skipped`: nothing is left unchecked.
  if (standbyUrl === null) return ok("no standby is set: the primary serves all reads");
  const where = databasePlace(standbyUrl);
  const identity = await readIdentity(db);
  const position = await readPosition(db);
  const store = await openDatabase({ url: standbyUrl, role: "standby", connectionsMax: 1 });
  try {
    if ((await readIdentity(store.db)) !== identity) {
      const todo = "set the URL of a streaming standby, with the same database and schema as the primary's";
      return { status: "fail", found: `${where} is no standby of this database and schema`, todo, section: SECTION };
    }
    if ((await readTimeline(store.db)) !== position.timeline) {
      const found = `${where} has not made a restart point since the failover: lists read the primary`;
      return { status: "warn", found, todo: "wait for checkpoint_timeout, or check that it replays", section: SECTION };
    }
    const lagBytes = await readLagBytes(store.db, position);
    return graded(grade(lagBytes, STANDBY_LAG_BYTES), `${where} answers, and is ${bytesText(lagBytes)} behind`, {
      todo: "check its load and replication: reads go to the primary until it has caught up",
      section: SECTION,
    });
  } catch (error) {
    const found = `${where} does not answer as a standby: ${reasonOf(error)}`;
    const todo = "start the standby, or correct its URL: until then, the primary serves its reads";
    return { status: "warn", found, todo, section: SECTION };
  } finally {
    await store.close();
  }
}
