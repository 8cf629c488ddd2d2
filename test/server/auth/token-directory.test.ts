import assert from "node:assert/strict";
import { pino } from "pino";
import { ALL_GRANTS } from "../../../src/domain/principal.ts";
import type { Principal } from "../../../src/domain/principal.ts";
import { tokenAdmin } from "../../../src/engine/access/tokens.ts";
import type { Identity } from "../../../src/rpc/call/identity.ts";
import { digestToken } from "../../../src/server/auth/bearer.ts";
import { TokenDirectory } from "../../../src/server/auth/token-directory.ts";
import type { Store } from "../../../src/store/database.ts";
import { openDatabase } from "../../../src/store/database.ts";
import { migrate } from "../../../src/store/migrate.ts";
import { eventually } from "../../support/eventually.ts";
import { startServer } from "../../support/postgres.ts";
import { describeHeavyOnEachStore } from "../../support/stores.ts";

const ROOT: Principal = { ...ALL_GRANTS, name: "root" };
const POLL_MS = 20;
const LOG = pino({ level: "silent" });

async function openDirectory(store: Store) {
  const directory = new TokenDirectory(store, { pollMs: POLL_MS, log: LOG });
  await directory.start();
  const find = (text: string) => directory.find({ text, digest: digestToken(text) });
  return { find, [Symbol.asyncDispose]: () => directory.stop() };
}

async function createToken(store: Store, expiresAt: Date | null = null) {
  const grants = { ...ALL_GRANTS, namespaces: ["team-a"] };
  return tokenAdmin(store, LOG).createToken(ROOT, { name: "ingest", grants, limits: {}, expiresAt });
}

/** Counts the statements of a store. */
function counted(store: Store) {
  const counts = { statements: 0 };
  const countedDb = store.db.withPlugin({
    transformQuery: ({ node }) => {
      counts.statements++;
      return node;
    },
    transformResult: async ({ result }) => result,
  });
  return { counts, store: { ...store, priorityDb: countedDb } };
}

describeHeavyOnEachStore("the directory of tokens", (store) => {
  it("admits a token that was created before its start, without a look-up", async () => {
    const { token } = await createToken(store());
    await using directory = await openDirectory(store());
    const found = directory.find(token) as Identity;
    assert.deepEqual([found.principal.name, found.principal.namespaces], ["ingest", ["team-a"]]);
    assert.equal(directory.find(token), found, "each call of a caller has the same identity");
  });

  it("admits a token that was created at another server by its first call", async () => {
    await using directory = await openDirectory(store());
    const { token } = await createToken(store());
    assert.equal((await directory.find(token))?.principal.name, "ingest");
  });

  it("refuses a token at once that was revoked before, and ends open calls of a revoked token", async () => {
    const [early, late] = [await createToken(store()), await createToken(store())];
    await tokenAdmin(store(), LOG).revokeToken(ROOT, early.created.tokenId);
    await using directory = await openDirectory(store());
    const revoked = { reason: "UNAUTHENTICATED", metadata: { token: "revoked" } };
    await assert.rejects(async () => directory.find(early.token), revoked);
    const ended = Promise.withResolvers<unknown>();
    (directory.find(late.token) as Identity).onInvalid(ended.resolve);
    await tokenAdmin(store(), LOG).revokeToken(ROOT, late.created.tokenId);
    assert.equal(((await ended.promise) as { metadata: object }).metadata["token" as never], "revoked");
    await assert.rejects(async () => directory.find(late.token), revoked);
  });

  it("finds a revocation that was committed later than a newer change", async () => {
    const [slow, quick] = [await createToken(store()), await createToken(store())];
    await using directory = await openDirectory(store());
    const past = new Date(Date.now() - 30_000);
    await tokenAdmin(store(), LOG).revokeToken(ROOT, quick.created.tokenId);
    await eventually(() => assert.throws(() => directory.find(quick.token)));
    await store()
      .db.updateTable("tokens")
      .set({ revoked_at: past, changed_at: past })
      .where("token_id", "=", slow.created.tokenId)
      .execute();
    await eventually(() => assert.throws(() => directory.find(slow.token), { metadata: { token: "revoked" } }));
  });

  it("refuses an expired token", async () => {
    const { token } = await createToken(store(), new Date(Date.now() + 50));
    await using directory = await openDirectory(store());
    await eventually(async () => {
      await assert.rejects(async () => directory.find(token), { metadata: { token: "expired" } });
    });
  });

  it("looks up calls with the same unknown token once, and refuses the token without a look-up then", async () => {
    const { counts, store: watched } = counted(store());
    const directory = new TokenDirectory(watched, { pollMs: 60_000, log: LOG });
    const unknown = `spool_${"x".repeat(43)}`;
    const find = async () => directory.find({ text: unknown, digest: digestToken(unknown) });
    await assert.rejects(find(), { reason: "STORE_UNAVAILABLE" }, "before the start nothing is known");
    await directory.start();
    const before = counts.statements;
    const wrong = { reason: "UNAUTHENTICATED", metadata: { token: "wrong" } };
    await Promise.all(Array.from({ length: 50 }, () => assert.rejects(find(), wrong)));
    await assert.rejects(find(), wrong);
    assert.equal(counts.statements - before, 1);
    assert.equal(directory.find({ text: "another form", digest: digestToken("another form") }), null);
    await directory.stop();
  });

  it("bounds the tokens that wait for their look-up", async () => {
    await using directory = await openDirectory(store());
    const finds = Array.from({ length: 1_001 }, async (_, index) =>
      directory.find(`spool_${String(index).padStart(43, "0")}`),
    );
    const reasons = (await Promise.allSettled(finds)).map((end) => end.status === "rejected" && end.reason.reason);
    assert.deepEqual([reasons[999], reasons[1_000]], ["UNAUTHENTICATED", "OVERLOADED"]);
  });
});

describe("the directory of tokens, while its database is down", () => {
  it("admits the tokens that it knows, and refuses unknown ones as UNAVAILABLE", async () => {
    await using postgres = await startServer();
    const store = await openDatabase({ url: postgres.url });
    try {
      await migrate(store.db);
      const [known, unknown] = [await createToken(store), `spool_${"y".repeat(43)}`];
      await using directory = await openDirectory(store);
      await postgres.stopAtOnce();
      await assert.rejects(async () => directory.find(unknown), { reason: "STORE_UNAVAILABLE" });
      assert.equal((directory.find(known.token) as Identity).principal.name, "ingest");
      await postgres.start();
      const { token } = await eventually(() => createToken(store));
      assert.equal((await eventually(() => directory.find(token)))?.principal.name, "ingest");
    } finally {
      await store.close();
    }
  }).timeout(60_000);
});
