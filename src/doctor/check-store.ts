import type { Store } from "../store/database.ts";
import { readClock } from "../store/reports/server-health.ts";
import { databasePlace } from "../store/connection/database-url.ts";
import { skipped } from "./check.ts";
import type { Finding } from "./check.ts";
import type { Findings } from "./findings.ts";
import { evaluateClock, evaluateRoundTrip } from "./evaluate-database.ts";
import { checkedNamespaces, scanNamespaces } from "./namespace-scans.ts";
import { scanSchema, SERVER_SCANS, TASK_SCANS } from "./scans.ts";
import type { Scan } from "./scans.ts";
import { DoctorContext } from "./doctor-context.ts";
import type { DoctorSettings } from "./doctor-context.ts";

/** How many round trips are measured. */
const ROUND_TRIPS = 5;

type Settings = DoctorContext["settings"] & Pick<DoctorSettings, "dataDir">;

/**
 * Makes every check except `server` and records the results in `findings`. Never rejects.
 *
 * @param takesTurns whether the reads run one after the other, which leaves connections to other users of the store
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
  const context = new DoctorContext({ settings, db, url, signal, takesTurns });
  await findings.record("database", () => measureRoundTrips(context, settings.dataDir, findings));
  if (!findings.isReached) return;
  // The connection may have been lost after the first statement and before the clock was read.
  if (findings.get("clock") === undefined) findings.set("clock", skipped("the database stopped answering"));
  const run = ({ name, scan }: Scan) => findings.record(name, () => scan(context));
  await Promise.all([
    ...SERVER_SCANS.map(run),
    findings
      .record("schema", () => scanSchema(context))
      .then(async () => {
        if (findings.get("schema")?.status !== "ok") return;
        const contexts = checkedNamespaces(context);
        await Promise.all(
          TASK_SCANS.map(({ name, scan }) => findings.record(name, async () => scanNamespaces(await contexts, scan))),
        );
      }),
  ]);
}

/** Measures round trips to the database. The shortest one also gives the difference of the clocks. */
async function measureRoundTrips({ db, url }: DoctorContext, dataDir: string, findings: Findings): Promise<Finding> {
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
  findings.set("clock", evaluateClock({ differenceMs, roundTripMs: tookMs }));
  const where = url === null ? `the embedded database in ${dataDir}` : databasePlace(url);
  return evaluateRoundTrip({ where, roundTripMs: trips[Math.floor(ROUND_TRIPS / 2)]!.tookMs });
}
