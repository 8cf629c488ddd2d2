import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { closeNamespace, openNamespace } from "../../../src/store/moves/moved-namespaces.ts";
import { createTask } from "../../support/new-tasks.ts";
import { openPostgres } from "../../support/stores.ts";

const WAIT_MS = 30_000;

describe("on Postgres, the fence of a namespace that has moved away", () => {
  it("refuses its writes and no others, until the namespace is opened again", async () => {
    await using store = await openPostgres();
    const { db } = store;
    const [moved, other] = [randomUUID(), randomUUID()];
    await closeNamespace(db, moved, WAIT_MS);
    await assert.rejects(createTask(db, { namespace: moved }));
    await createTask(db, { namespace: other });
    await openNamespace(db, moved, WAIT_MS);
    await createTask(db, { namespace: moved });
  });

  it("is opened by another call if the first one died at any of its steps", async () => {
    await using store = await openPostgres();
    const { db } = store;
    const [moved, other] = [randomUUID(), randomUUID()];
    for (let statements = 1; statements <= 4; statements++) {
      for (const namespace of [moved, other]) await closeNamespace(db, namespace, WAIT_MS);
      // A call has one transaction for the list of namespaces, and one for each of three tables.
      let left = statements;
      const dying = new Proxy(db, {
        get(target, name) {
          if (name === "transaction" && left-- === 0) throw new Error("died");
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === "function" ? (value as () => unknown).bind(target) : value;
        },
      });
      const first = openNamespace(dying, moved, WAIT_MS);
      if (statements < 4) await assert.rejects(first, { message: "died" });
      else await first;
      await openNamespace(db, moved, WAIT_MS);
      await createTask(db, { namespace: moved });
      await assert.rejects(createTask(db, { namespace: other }));
    }
  });
});
