import { HOME_SHARD } from "../domain/shard.ts";
import type { Store } from "../store/database.ts";
import { readClock } from "../store/reports/server-health.ts";
import { databasePlace } from "../store/connection/database-url.ts";
import { skipped } from "./check.ts";
import type { Finding } from "./check.ts";
import type { Findings } from "./findings.ts";
import { evaluateClock, evaluateRoundTrip } from "./evaluate-database.ts";
import { mergeFindings } from "./merge-findings.ts";
import { checkedNamespaces, scanNamespaces } from "./namespace-scans.ts";
import type { ExaminedShard } from "./namespace-scans.ts";
import { scanMoves, scanSchema, SERVER_SCANS, TASK_SCANS } from "./scans.ts";
import type { Scan } from "./scans.ts";
import { DoctorContext } from "./doctor-context.ts";
import type { DoctorSettings } from "./doctor-context.ts";

/** How many round trips are measured. */
const ROUND_TRIPS = 5;

type Settings = DoctorContext["settings"] & Pick<DoctorSettings, "dataDir">;

type CheckedStore = Pick<Store, "db" | "url">;

/** A shard besides the first one. */
export interface OtherShard {
  name: string;
  store: CheckedStore;
  /** null: it has no standby. */
  standbyUrl: string | null;
}

interface Examination {
  settings: Settings;
  findings: Findings;
  /** Whether the reads of a store run one after the other, which leaves connections to other users of the store. */
  takesTurns?: boolean;
  signal: AbortSignal;
}

/**
 * Makes every check except `server` on all shards, and records the results in `findings`. Never rejects.
 *
 * @param home the first shard
 * @param others returns the other shards, when the schema of the first one is known to be current
 */
export async function examineShards(
  home: CheckedStore,
  { others, ...examination }: Examination & { others: () => Promise<readonly OtherShard[]> },
): Promise<void> {
  const { findings } = examination;
  const directory = contextOf(home, examination);
  await examineStore(directory, { ...examination, shard: { name: HOME_SHARD, directory } });
  if (findings.get("schema")?.status !== "ok") return;
  const examined = await Promise.all(
    (await others().catch(() => [])).map(async ({ name, store, standbyUrl }) => {
      const ofShard = findings.another();
      const settings = { ...examination.settings, standbyUrl };
      const context = contextOf(store, { ...examination, settings });
      await examineStore(context, { ...examination, settings, findings: ofShard, shard: { name, directory } });
      return { where: name, findings: ofShard };
    }),
  );
  if (examined.length === 0) return;
  for (const { name, ...finding } of findings.checks()) {
    if (name === "server") continue;
    const elsewhere = examined.map(({ where, findings: ofShard }) => ({ where, finding: ofShard.checked(name) }));
    findings.set(name, mergeFindings([{ where: HOME_SHARD, finding }, ...elsewhere], "shards"));
  }
}

function contextOf({ db, url }: CheckedStore, { settings, takesTurns = false, signal }: Examination): DoctorContext {
  return new DoctorContext({ settings, db, url, signal, takesTurns });
}

/** Makes every check except `server` on one shard. Never rejects. */
async function examineStore(
  context: DoctorContext,
  { settings, findings, shard }: Examination & { shard: ExaminedShard },
): Promise<void> {
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
        const contexts = checkedNamespaces(context, shard);
        await Promise.all([
          findings.record("moves", () => scanMoves(context)),
          ...TASK_SCANS.map(({ name, scan }) =>
            findings.record(name, async () => scanNamespaces(await contexts, scan)),
          ),
        ]);
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
