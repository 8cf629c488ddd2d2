import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { pino } from "pino";
import { ALL_GRANTS } from "../../../src/domain/principal.ts";
import type { Grants, Principal } from "../../../src/domain/principal.ts";
import { tokenAdmin } from "../../../src/engine/access/tokens.ts";
import { digestToken } from "../../../src/server/auth/bearer.ts";
import { findTokens } from "../../../src/store/access/tokens.ts";
import { describeHeavyOnEachOwnStore } from "../../support/stores.ts";

const ROOT: Principal = { ...ALL_GRANTS, name: "root" };
const LOG = pino({ level: "silent" });

describeHeavyOnEachOwnStore("the tokens of callers", (store) => {
  const admin = () => tokenAdmin(store(), LOG);
  const wanted = (grants: Partial<Grants> = {}, name = "ingest") => ({
    name,
    grants: { ...ALL_GRANTS, ...grants },
    limits: { streams: 5 },
    expiresAt: null,
  });
  const audited = (target: string) =>
    store()
      .db.selectFrom("audit_events")
      .select(["actor", "action", "namespace", "details"])
      .where("target", "=", target)
      .orderBy("audit_id")
      .execute();

  it("are stored as a digest, and their creation is in the audit log without the token", async () => {
    const { token, created } = await admin().createToken(ROOT, wanted({ namespaces: ["team-a"] }));
    assert.match(token, /^spool_[\w-]{43}$/);
    const { limits, grants, createdBy, revokedAt } = created;
    assert.deepEqual({ limits, createdBy, revokedAt }, { limits: { streams: 5 }, createdBy: "root", revokedAt: null });
    assert.deepEqual(grants, wanted({ namespaces: ["team-a"] }).grants);
    const [row] = await findTokens(store().db, [Buffer.from(digestToken(token), "base64url")]);
    assert.equal(row?.tokenId, created.tokenId);
    const events = await audited(created.tokenId);
    assert.deepEqual(
      events.map(({ actor, action, namespace }) => [actor, action, namespace]),
      [["root", "token.create", "team-a"]],
    );
    assert.ok(!JSON.stringify(events).includes(token.slice(6)));
  });

  it("can only have rights of their creator, which otherwise creates nothing", async () => {
    const narrow: Principal = { ...ROOT, name: "narrow", namespaces: ["team-*"], scopes: ["admin", "tasks:read"] };
    const refused = { reason: "PERMISSION_DENIED", metadata: { principal: "narrow", scope: "work" } };
    await assert.rejects(admin().createToken(narrow, wanted({ scopes: ["work"], namespaces: ["team-a"] })), refused);
    assert.deepEqual((await admin().listTokens(narrow)).tokens, []);
  });

  it("are listed, newest first, and revoked only by callers that could have created them", async () => {
    const namespace = `team-${randomUUID()}`;
    const narrow: Principal = { ...ROOT, name: "narrow", namespaces: [namespace] };
    const ours = [];
    for (const name of ["one", "two"]) {
      ours.push((await admin().createToken(narrow, wanted({ namespaces: [namespace] }, name))).created);
    }
    const { created: foreign } = await admin().createToken(ROOT, wanted());
    assert.deepEqual(await admin().listTokens(narrow), { tokens: ours.toReversed(), hasMore: false });
    for (const tokenId of [foreign.tokenId, randomUUID()]) {
      const missing = { reason: "TOKEN_NOT_FOUND", metadata: { token_id: tokenId } };
      await assert.rejects(admin().revokeToken(narrow, tokenId), missing);
    }
    const revoked = await admin().revokeToken(narrow, ours[0]!.tokenId);
    assert.ok(revoked.revokedAt instanceof Date);
    assert.deepEqual(await admin().revokeToken(narrow, ours[0]!.tokenId), revoked, "a repeated revocation changes it");
    const actions = (await audited(ours[0]!.tokenId)).map(({ action }) => action);
    assert.deepEqual(actions, ["token.create", "token.revoke"]);
  });
});
