import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, SignJWT } from "jose";
import { connect } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { burst } from "../kinds.ts";
import { rateOf } from "../rate.ts";
import type { Servers } from "../servers.ts";
import { inTurn } from "./in-turn.ts";
import type { Variants } from "./in-turn.ts";
import { runBurst } from "./tapes.ts";

/** What the callers of a server present. */
const CREDENTIALS = ["open", "token", "jwt"] as const;
type Credential = (typeof CREDENTIALS)[number];

/** Of a server that admits all calls. */
const SHARE_MIN = 0.97;
const DAY_MS = 24 * 60 * 60 * 1_000;
const WHY = "what it costs to know who calls";
const TOKEN = "a-token-of-the-benchmark-with-forty-characters";
const ISSUER = "https://issuer.example";
const AUDIENCE = "spool";
const KEY_ID = "bench";

const VARIANTS: Variants<Credential> = {
  names: CREDENTIALS,
  about: {
    open: "at a server that admits all calls",
    token: "with the token of the server's settings",
    jwt: "with a JSON Web Token of an issuer in the access file",
  },
  comparedWith: {
    token: { with: "open", atLeast: SHARE_MIN },
    jwt: { with: "open", atLeast: SHARE_MIN },
  },
  start: startServers,
};

export const credentialsTasks = inTurn(VARIANTS, {
  name: "credentials-tasks",
  unit: "tasks/s",
  about: "start a task that emits 10 events and follow it to its end, 64 at once",
  why: WHY,
  turn: (client, size) => rateOf(() => runBurst(client, 10), { times: size(2_000), atOnce: 64 }),
});

export const credentialsEvents = inTurn(VARIANTS, {
  name: "credentials-events",
  unit: "events/s",
  about: "16 tasks at once emit 15,000 events each, and a client follows each from its start to its end",
  why: WHY,
  async turn(client, size) {
    const events = size(15_000);
    return (await rateOf(() => runBurst(client, events), { times: 16, atOnce: 16 })) * events;
  },
});

export const credentialsStarts = inTurn(VARIANTS, {
  name: "credentials-starts",
  unit: "tasks/s",
  about: "start a task that waits for its time, 64 calls at once",
  why: WHY,
  turn(client, size) {
    const runAt = new Date(Date.now() + DAY_MS);
    const work = () => client.start({ kind: burst.name, params: { events: 0 }, runAt });
    return rateOf(work, { times: size(4_000), atOnce: 64 });
  },
});

async function startServers(servers: Servers): Promise<{ clients: SpoolClient[]; close(): Promise<void> }> {
  await using started = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "spool-bench-"));
  started.defer(() => rm(folder, { recursive: true }));
  const { accessFile, jwt } = await issueJwt(folder);
  const settings: Record<Credential, Record<string, string>> = {
    open: {},
    token: { SPOOL_TOKEN: TOKEN },
    jwt: { SPOOL_ACCESS_FILE: accessFile },
  };
  const tokens: Record<Credential, string | undefined> = { open: undefined, token: TOKEN, jwt };
  const clients: SpoolClient[] = [];
  for (const credential of CREDENTIALS) {
    const token = tokens[credential];
    const { address } = started.use(await servers.startSpool({ settings: settings[credential], token }));
    clients.push(started.use(connect({ address, token })));
  }
  const open = started.move();
  return { clients, close: () => open.disposeAsync() };
}

/** Writes an access file with an issuer, and issues a token. */
async function issueJwt(folder: string): Promise<{ accessFile: string; jwt: string }> {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const keys = join(folder, "keys.json");
  await writeFile(keys, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: KEY_ID, alg: "RS256" }] }));
  const accessFile = join(folder, "access.json");
  const grants = { namespaces: ["*"], scopes: ["tasks:read", "tasks:start"] };
  await writeFile(accessFile, JSON.stringify({ jwt: [{ issuer: ISSUER, audience: AUDIENCE, jwks: keys, grants }] }));
  const jwt = await new SignJWT({ scope: "tasks:read tasks:start" })
    .setProtectedHeader({ alg: "RS256", kid: KEY_ID })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject("the benchmark")
    .setIssuedAt()
    .setExpirationTime("1d")
    .sign(privateKey);
  return { accessFile, jwt };
}
