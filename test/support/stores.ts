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
  for (const [name, open] of Object.entries(STORES)) {
    describe(`${title}, on ${name}`, () => {
      let store: TestStore;
      before(async () => {
        store = await open();
      });
      after(() => store?.[Symbol.asyncDispose]());
      body(() => store);
    });
  }
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
