import { MIGRATIONS } from "../../../examples/knowledge/migrations.ts";
import type { KindDatabase } from "../../../src/domain/kind-database.ts";
import { kindDatabase } from "../../../src/store/kind-database.ts";
import { migrateKinds } from "../../../src/store/kind-migrations.ts";
import { describeHeavyOnEachStore } from "../../support/stores.ts";

/** Describes what holds on every database that has the tables of the example, once for each. */
export function describeOnEachKnowledgeStore(title: string, body: (db: () => KindDatabase) => void): void {
  describeHeavyOnEachStore(title, (store) => {
    before(() => migrateKinds(store().db, { name: "knowledge", migrations: MIGRATIONS }));
    body(() => kindDatabase(store().db));
  });
}
