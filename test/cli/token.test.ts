import assert from "node:assert/strict";
import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServerProcess } from "../support/server-process.ts";
import { runSpool } from "./spool-process.ts";

const ROOT_TOKEN = "the-root-token";
const RIGHTS = ["--scope", "tasks:read", "--scope", "tasks:start", "--namespaces", "default"];

describe("spool token", () => {
  it("creates a token that works at once, lists it, and revokes it", async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), "spool-token-"));
    const environment = { SPOOL_TOKEN: ROOT_TOKEN, SPOOL_DATA_DIR: join(folder.path, "data") };
    await using server = await startServerProcess({ environment });
    const spool = (words: string[], SPOOL_TOKEN = ROOT_TOKEN) =>
      runSpool([...words, "--address", server.address], { environment: { SPOOL_TOKEN } });

    const created = await spool([
      "token",
      "create",
      "--name",
      "ingest",
      ...RIGHTS,
      "--label",
      "team=a",
      "--expires",
      "1d",
    ]);
    assert.equal(created.code, 0, created.stderr);
    assert.match(created.stdout, /^spool_[\w-]{43}\n$/);
    assert.match(
      created.stderr,
      /^token [0-9a-f-]{36} created for ingest, expires 20.*Z\nit cannot be printed again\n$/,
    );
    const token = created.stdout.trim();
    const started = await spool(["start", "echo", "--wait", "--json"], token);
    assert.equal(started.code, 0, started.stderr);
    const denied = await spool(["token", "list"], token);
    assert.match(denied.stderr, /ingest needs the scope admin \(PERMISSION_DENIED\)/);

    const json = JSON.parse((await spool(["token", "list", "--json"])).stdout);
    const { token_id, created_at, expires_at, ...rest } = json;
    assert.ok(Date.parse(expires_at) > Date.parse(created_at));
    assert.deepEqual(rest, {
      name: "ingest",
      created_by: "root",
      revoked_at: null,
      grants: {
        namespaces: ["default"],
        scopes: ["tasks:read", "tasks:start"],
        kinds: ["*"],
        labels: { team: "a" },
      },
      limits: {},
    });
    const revoked = await spool(["token", "revoke", token_id]);
    assert.deepEqual([revoked.code, revoked.stdout], [0, `token ${token_id} of ingest is revoked\n`]);
    const list = (await spool(["token", "list"])).stdout.split("\n").map((line) => line.trim().split(/ {2,}/));
    assert.deepEqual(list[0], ["ID", "NAME", "STATE", "EXPIRES", "CREATED BY", "RIGHTS"]);
    assert.deepEqual(list[1]!.slice(0, 3), [token_id, "ingest", "revoked"]);
    assert.equal(list[1]![5], "tasks:read tasks:start in default team=a");

    const gone = await spool(["token", "revoke", "019a0b1c-0000-7000-8000-000000000001"]);
    assert.equal(gone.code, 1);
    assert.match(gone.stderr, /there is no token 019a0b1c[^]*to list tokens: spool token list/);
  }).timeout(120_000);

  it("refuses an unknown scope, a wrong time, and missing rights before it calls a server", async () => {
    const create = (...words: string[]) => runSpool(["token", "create", "--name", "a", ...words]);
    for (const [words, message] of [
      [["--scope", "all", "--namespaces", "a"], /The scopes are tasks:read, tasks:start/],
      [[...RIGHTS, "--expires", "soon"], /A duration is a number with a unit/],
      [["--scope", "work"], /required option '--namespaces <patterns>' not specified/],
    ] as const) {
      const { code, stderr } = await create(...words);
      assert.equal(code, 2);
      assert.match(stderr, message);
    }
  });
});
