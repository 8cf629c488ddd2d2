import assert from "node:assert/strict";
import { sql } from "kysely";
import { SigningKeys } from "../../../src/engine/access/signing-keys.ts";
import type { Store } from "../../../src/store/database.ts";
import { describeHeavyOnEachStore } from "../../support/stores.ts";

describeHeavyOnEachStore("the keys of tokens for single tasks", (store) => {
  beforeEach(async () => void (await store().db.deleteFrom("signing_keys").execute()));

  const age = (keyId: string, days: number) =>
    store()
      .db.updateTable("signing_keys")
      .set({ created_at: sql<Date>`now() - make_interval(days => ${days})` })
      .where("key_id", "=", keyId)
      .execute();
  const stored = async () =>
    (await store().db.selectFrom("signing_keys").select("key_id").orderBy("created_at").execute()).map(
      ({ key_id }) => key_id,
    );

  it("are made by the first use, once for all servers", async () => {
    const servers = Array.from({ length: 4 }, () => new SigningKeys(store()));
    const keys = await Promise.all(servers.flatMap((server) => [server.forSigning(), server.forSigning()]));
    assert.deepEqual(new Set(keys.map(({ keyId }) => keyId)), new Set(await stored()));
    assert.equal((await stored()).length, 1);
    assert.deepEqual(new Set(keys.map(({ secret }) => secret.toString("hex"))).size, 1);
    assert.equal(keys[0]!.secret.length, 32);
  });

  it("of another server are found by a look-up, which is not repeated for a made-up id", async () => {
    const here = new SigningKeys(store());
    const { keyId, secret } = await new SigningKeys(store()).forSigning();
    assert.equal(here.find(keyId), undefined);
    assert.deepEqual((await here.lookUp(keyId))!.secret, secret);
    assert.deepEqual(here.find(keyId)!.secret, secret);
    const reads = counting(store());
    const there = new SigningKeys(reads.store);
    const unknown = crypto.randomUUID();
    const found = await Promise.all([there.lookUp(unknown), there.lookUp(unknown), there.lookUp(keyId)]);
    assert.deepEqual(
      found.map((key) => key?.keyId),
      [undefined, undefined, keyId],
    );
    const { count } = reads;
    assert.equal(await there.lookUp(unknown), undefined);
    assert.equal(reads.count, count);
  });

  it("are no longer accepted when they were deleted, after the next read", async () => {
    const server = new SigningKeys(store());
    const { keyId } = await server.forSigning();
    await store().db.deleteFrom("signing_keys").execute();
    assert.notEqual(server.find(keyId), undefined);
    await server.lookUp(crypto.randomUUID());
    assert.equal(server.find(keyId), undefined);
    assert.notEqual((await server.forSigning()).keyId, keyId);
  });

  it("sign for 30 days, and are accepted until the last of their tokens has expired", async () => {
    const first = await new SigningKeys(store()).forSigning();
    await age(first.keyId, 29);
    assert.equal((await new SigningKeys(store()).forSigning()).keyId, first.keyId);
    await age(first.keyId, 30);
    const servers = [new SigningKeys(store()), new SigningKeys(store())];
    const [second, same] = await Promise.all(servers.map((server) => server.forSigning()));
    assert.notEqual(second!.keyId, first.keyId);
    assert.equal(same!.keyId, second!.keyId);
    assert.deepEqual(await stored(), [first.keyId, second!.keyId]);
    assert.deepEqual((await servers[0]!.lookUp(first.keyId))!.secret, first.secret);
    await age(second!.keyId, 30);
    await age(first.keyId, 38);
    const third = await new SigningKeys(store()).forSigning();
    assert.deepEqual(await stored(), [second!.keyId, third.keyId]);
  });
});

/** The store, with the number of statements that its callers make. */
function counting({ priorityDb }: Store): { store: Pick<Store, "priorityDb">; readonly count: number } {
  let count = 0;
  const counted = priorityDb.withPlugin({
    transformQuery({ node }) {
      count++;
      return node;
    },
    transformResult: async ({ result }) => result,
  });
  return {
    store: { priorityDb: counted },
    get count() {
      return count;
    },
  };
}
