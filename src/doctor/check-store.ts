import type { Store } from "../store/database.ts";
import { readClock } from "../store/reports/server-health.ts";
import { databasePlace } from "../store/connection/database-url.ts";
import { skipped } from "./check.ts";
import type { Finding } from "./check.ts";
import type { Findings } from "./findings.ts";
import { judgeClock, judgeRoundTrip } from "./evaluate-database.ts";
import { lookAtSchema, SERVER_LOOKS, TASK_LOOKS } from "./scans.ts";
import type { Look } from "./scans.ts";
import { Patient } from "./doctor-context.ts";
import type { DoctorSettings } from "./doctor-context.ts";

/** How often the round trip is measured. */
const ROUND_TRIPS = 5;

type Settings = Patient["settings"] & Pick<DoctorSettings, "dataDir">;

/**
 * Makes every check but `server`, and puts what it finds into `findings`. Never rejects.
 *
 * @param takesTurns whether one read follows the other, so that the store's other users keep its connections
 */
export async function examineStore(
  { db, url }: Pick<Store, "db" | "url">,
  {
    settings,
    findings,
    takesTurns = false,
    signal,
  }: { settings: Settings; findings: Findings; takesTurns?: boolean; signal: AbortSignal },
): Promise<void> {
  const patient = new Patient({ settings, db, url, signal, takesTurns });
  await findings.look("database", () => reach(patient, settings.dataDir, findings));
  if (!findings.isReached) return;
  // One that was reached may have gone before its clock was read.
  if (findings.get("clock") === undefined) findings.set("clock", skipped("the database has stopped to answer"));
  const take = ({ name, look }: Look) => findings.look(name, () => look(patient));
  await Promise.all([
    ...SERVER_LOOKS.map(take),
    findings
      .look("schema", () => lookAtSchema(patient))
      .then(async () => {
        if (findings.get("schema")?.status === "ok") await Promise.all(TASK_LOOKS.map(take));
      }),
  ]);
}

/** The way to the database and back; and by the shortest of them its clock. */
async function reach({ db, url }: Patient, dataDir: string, findings: Findings): Promise<Finding> {
  await readClock(db); // Connects.
  findings.isReached = true;
  const trips: { tookMs: number; differenceMs: number }[] = [];
  for (let trip = 0; trip < ROUND_TRIPS; trip++) {
    const wallMs = Date.now();
    const sentAt = performance.now();
    const at = await readClock(db);
    const tookMs = performance.now() - sentAt;
    trips.push({ tookMs, differenceMs: at.getTime() - (wallMs + tookMs / 2) });
  }
  trips.sort((a, b) => a.tookMs - b.tookMs);
  const { tookMs, differenceMs } = trips[0]!;
  findings.set("clock", judgeClock({ differenceMs, roundTripMs: tookMs }));
  const where = url === null ? `the embedded database in ${dataDir}` : databasePlace(url);
  return judgeRoundTrip({ where, roundTripMs: trips[Math.floor(ROUND_TRIPS / 2)]!.tookMs });
}
