import { openDatabase } from "../../src/store/database.ts";
import type { Store } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrate.ts";
import { createDatabase } from "./postgres.ts";

/** A migrated database of a test's own. Disposing closes it and leaves nothing behind. */
export type TestStore = Store & AsyncDisposable;

/** Both databases that Spool runs on. */
const STORES = { Postgres: openPostgres, PGlite: openEmbedded };

/**
 * Describes what holds on every database, once for each. The database is shared by the tests of a suite: a namespace of
 * its own keeps one apart from the others.
 *
 * @param body is given the store through a function, because it is opened only when the tests begin
 */
export function describeOnEachStore(title: string, body: (store: () => Store) => void): void {
  for (const name of ["Postgres", "PGlite"] as const) describeOn(name, `${title}, on ${name}`, body);
}

/**
 * The same for a suite of the engine. On PGlite only `npm run check:full` runs such a suite: the suites of the store run
 * its statements there.
 */
export function describeEngineOnEachStore(title: string, body: (store: () => Store) => void): void {
  describeOn("Postgres", `${title}, on Postgres`, body);
  describeOn("PGlite", `${title}, on PGlite @slow`, body);
}

function describeOn(name: keyof typeof STORES, title: string, body: (store: () => Store) => void): void {
  describe(title, () => {
    let store: TestStore;
    before(async () => {
      store = await STORES[name]();
    });
    after(() => store?.[Symbol.asyncDispose]());
    body(() => store);
  });
}

/** A migrated database on a real server. */
export async function openPostgres(): Promise<TestStore> {
  const database = await createDatabase();
  const store = await openDatabase({ url: database.url });
  await migrate(store.db);
  return {
    ...store,
    async [Symbol.asyncDispose]() {
      await store.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

async function openEmbedded(): Promise<TestStore> {
  const store = await openDatabase({ dataDir: null });
  await migrate(store.db);
  return { ...store, [Symbol.asyncDispose]: () => store.close() };
}
