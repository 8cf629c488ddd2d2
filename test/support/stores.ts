import type { Store } from "../../src/store/database.ts";
import { openEmbedded, openPostgres } from "./open-stores.ts";
import type { TestStore } from "./open-stores.ts";

export { openPostgres } from "./open-stores.ts";
export type { TestStore } from "./open-stores.ts";

/** Both databases that Spool runs on. */
const STORES = { Postgres: openPostgres, PGlite: openEmbedded };
type StoreName = keyof typeof STORES;

/** The stores that the suites of this process share. */
const shared = new Map<StoreName, Promise<TestStore>>();

// This module is first loaded outside of every suite: the hook runs after the last test of the process.
after(async () => {
  for (const store of shared.values()) await (await store)[Symbol.asyncDispose]();
});

/**
 * Describes what holds on every database, once for each. All suites of a process share each database: a namespace of
 * its own keeps a test apart from the others.
 *
 * @param body gets the store through a function, because it is opened only when the tests begin
 */
export function describeOnEachStore(title: string, body: (store: () => Store) => void): void {
  for (const name of ["Postgres", "PGlite"] as const) describeOn(name, `on ${name}, ${title}`, body);
}

/** The same for a suite that changes the schema: its databases are its own. */
export function describeOnEachOwnStore(title: string, body: (store: () => Store) => void): void {
  for (const [name, open] of Object.entries(STORES)) describeOwn(open, `on ${name}, ${title}`, body);
}

/** The same for a heavy suite with databases of its own. On PGlite only `npm run check:full` runs it. */
export function describeHeavyOnEachOwnStore(title: string, body: (store: () => Store) => void): void {
  describeOwn(openPostgres, `on Postgres, ${title}`, body);
  describeOwn(openEmbedded, `on PGlite @slow, ${title}`, body);
}

/**
 * The same for a heavy suite: of the engine, or one with much data. On PGlite only `npm run check:full` runs it, because
 * the suites of the store run the same statements there.
 */
export function describeHeavyOnEachStore(title: string, body: (store: () => Store) => void): void {
  describeOn("Postgres", `on Postgres, ${title}`, body);
  describeOn("PGlite", `on PGlite @slow, ${title}`, body);
}

function describeOwn(open: () => Promise<TestStore>, title: string, body: (store: () => TestStore) => void): void {
  describeWith(open, title, (store) => {
    after(() => store()?.[Symbol.asyncDispose]());
    body(store);
  });
}

function describeOn(name: StoreName, title: string, body: (store: () => Store) => void): void {
  const open = () => {
    if (!shared.has(name)) shared.set(name, STORES[name]());
    return shared.get(name)!;
  };
  describeWith(open, title, body);
}

function describeWith(open: () => Promise<TestStore>, title: string, body: (store: () => TestStore) => void): void {
  describe(title, () => {
    let store: TestStore;
    before(async () => {
      store = await open();
    });
    body(() => store);
  });
}
