import { openDatabase } from "../../src/store/database.ts";
import type { Store } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrate.ts";
import { createDatabase } from "./postgres.ts";

/** A migrated database of a test's own. Disposing closes it and leaves nothing behind. */
export type TestStore = Store & AsyncDisposable;

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

/** A migrated database in this process. */
export async function openEmbedded(): Promise<TestStore> {
  const store = await openDatabase({ dataDir: null });
  await migrate(store.db);
  return { ...store, [Symbol.asyncDispose]: () => store.close() };
}
