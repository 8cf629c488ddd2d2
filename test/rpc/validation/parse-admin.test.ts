import assert from "node:assert/strict";
import { toScopeValue } from "../../../src/codec/scope.ts";
import { CreateTokenRequestSchema, RevokeTokenRequestSchema } from "../../../src/gen/spool/v1/admin_service_pb.ts";
import { Scope } from "../../../src/gen/spool/v1/access_pb.ts";
import { parseCreateToken, parseRevokeToken } from "../../../src/rpc/validation/parse-admin.ts";
import { Call, times } from "./parser-call.ts";

const NOW = 1_000_000;
const scopes = [toScopeValue("tasks:read")];
const grants = { namespaces: ["team-a"], scopes };
const token = new Call(CreateTokenRequestSchema, { name: "ingest", grants }, (request) =>
  parseCreateToken(request, NOW),
);
const revoke = new Call(RevokeTokenRequestSchema, {}, parseRevokeToken);
const expiry = (ms: number) => ({ expiresAt: { seconds: BigInt(Math.floor(ms / 1_000)), nanos: (ms % 1_000) * 1e6 } });
const labels = (count: number) => Object.fromEntries(times(count, "l").map((key, index) => [`${key}${index}`, "v"]));

describe("a CreateToken request", () => {
  it("is for all kinds and without an expiry by default", () => {
    assert.deepEqual(token.parse(), {
      name: "ingest",
      grants: { namespaces: ["team-a"], scopes: ["tasks:read"], kinds: ["*"], labels: {}, taskId: null },
      limits: {},
      expiresAt: null,
    });
  });

  token.accepts("a name of 128 characters", { name: "n".repeat(128) });
  token.refuses("a longer name", { name: "n".repeat(129) }, "name", /1 to 128 characters/);
  token.refuses("no name", { name: "" }, "name", /1 to 128 characters/);
  token.refuses("a name with a space", { name: "a b" }, "name", /A-Za-z0-9/);
  token.refuses("no namespace", { grants: { ...grants, namespaces: [] } }, "grants.namespaces", /at least one/);
  token.accepts("patterns", { grants: { namespaces: ["*", "a*"], scopes, kinds: ["b.c*"] } });
  token.refuses("an inner *", { grants: { ...grants, namespaces: ["a*b"] } }, "grants.namespaces[0]", /1 to 63/);
  token.accepts("100 namespaces", { grants: { ...grants, namespaces: times(100, "n") } });
  token.refuses("101", { grants: { ...grants, namespaces: times(101, "n") } }, "grants.namespaces", /at most 100/);
  token.accepts("a namespace of 63 characters", { grants: { ...grants, namespaces: ["n".repeat(63)] } });
  token.refuses("64", { grants: { ...grants, namespaces: ["n".repeat(64)] } }, "grants.namespaces[0]", /1 to 63/);
  token.refuses("an empty kind", { grants: { ...grants, kinds: [""] } }, "grants.kinds[0]", /1 to 128/);
  token.refuses("no scope", { grants: { ...grants, scopes: [] } }, "grants.scopes", /at least one/);
  token.refuses(
    "an unknown scope",
    { grants: { ...grants, scopes: [Scope.UNSPECIFIED] } },
    "grants.scopes[0]",
    /other than UNSPECIFIED/,
  );
  token.accepts("8 labels", { grants: { ...grants, labels: labels(8) } });
  token.refuses("9 labels", { grants: { ...grants, labels: labels(9) } }, "grants.labels", /at most 8/);
  token.accepts("an expiry after now", expiry(NOW + 1));
  token.refuses("an expiry now", expiry(NOW), "expires_at", /in the future/);
  token.refuses("a limit of namespaces", { limits: { runningTasks: 1n } }, "limits.running_tasks", /namespaces only/);
  token.refuses("another one", { limits: { storedBytes: 1n } }, "limits.stored_bytes", /namespaces only/);
  token.refuses("a limit of 0", { limits: { streams: 0 } }, "limits.streams", /must be 1 to/);
});

describe("a RevokeToken request", () => {
  revoke.accepts("a UUID", { tokenId: "019A0B1C-0000-7000-8000-000000000001" });
  revoke.refuses("anything else", { tokenId: "spool_x" }, "token_id", /UUID of 36 characters/);
});
