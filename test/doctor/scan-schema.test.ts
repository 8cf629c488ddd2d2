import assert from "node:assert/strict";
import { DoctorContext } from "../../src/doctor/doctor-context.ts";
import { scanSchema } from "../../src/doctor/scans.ts";
import { openDatabase } from "../../src/store/database.ts";
import type { Store } from "../../src/store/database.ts";
import { MIGRATIONS, SCHEMA_VERSION } from "../../src/store/migrate.ts";
import { applySteps } from "../../src/store/schema-steps.ts";
import type { SchemaSteps } from "../../src/store/schema-steps.ts";
import { FOREVER } from "../support/engines.ts";
import { createDatabase } from "../support/postgres.ts";

/** A step of a newer program, which changes nothing. */
const newer = (runsFrom?: string): SchemaSteps => ({
  "9999-later": { stages: [], ...(runsFrom !== undefined && { runsFrom }) },
});

describe("the scan of the schema", () => {
  let database: Awaited<ReturnType<typeof createDatabase>>;
  let store: Store;
  beforeEach(async () => {
    database = await createDatabase();
    store = await openDatabase({ url: database.url });
  });
  afterEach(async () => {
    await store?.close();
    await database?.[Symbol.asyncDispose]();
  });

  async function scan(steps: SchemaSteps) {
    await applySteps(store.db, steps);
    const settings = { namespace: "default", leaseMs: 10_000, cancelGraceMs: 5_000, notify: true, ...FOREVER };
    const { signal } = new AbortController();
    return scanSchema(new DoctorContext({ settings, db: store.db, url: store.url, signal }));
  }

  it("accepts the schema of a newer program that allows this program, and names both", async () => {
    const { status, found } = await scan({ ...MIGRATIONS, ...newer(SCHEMA_VERSION) });
    assert.equal(status, "ok");
    assert.equal(found, `9999-later, newer than this version's ${SCHEMA_VERSION}, which may run on it`);
  });

  it("fails for the schema of a newer program that allows no older program, and says what to do", async () => {
    const finding = await scan({ ...MIGRATIONS, ...newer() });
    assert.ok(finding.status === "fail");
    assert.match(finding.found, /9999-later, newer than this program's/);
    assert.match(finding.todo, /^update Spool/);
  });

  it("fails for a schema that lacks a step of this program, and has one that this program does not know", async () => {
    const fewer = Object.fromEntries(Object.entries(MIGRATIONS).slice(0, -1));
    const finding = await scan({ ...fewer, ...newer("0001-tasks") });
    assert.ok(finding.status === "fail");
    assert.match(
      finding.found,
      new RegExp(`9999-later, which this program .* does not know, and lacks step ${SCHEMA_VERSION}`),
    );
    assert.match(finding.todo, /spool migrate of the newest version/);
  });
});
