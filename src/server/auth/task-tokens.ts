import { decodeProtectedHeader, errors, jwtVerify, SignJWT } from "jose";
import { LRUCache } from "lru-cache";
import * as v from "valibot";
import { Unauthenticated } from "../../domain/errors.ts";
import { grantTaskToken, TASK_TOKEN_SCOPES, taskTokenPrincipal } from "../../domain/task-token.ts";
import type { TaskToken } from "../../domain/task-token.ts";
import { SigningKeys } from "../../engine/access/signing-keys.ts";
import type { SigningKey } from "../../engine/access/signing-keys.ts";
import type { ServiceAdmin } from "../../engine/api/service-admin.ts";
import type { Identity } from "../../rpc/call/identity.ts";
import type { Store } from "../../store/database.ts";
import type { PresentedToken, TokenSource } from "./bearer.ts";
import { Validity } from "./validity.ts";

/** How many verified tokens are cached. Others are verified again. */
const TOKENS_MAX = 10_000;
/** Longer than any token that Spool makes. */
const TOKEN_CHARS_MAX = 4_096;

/** Before the JWT, so that the token is recognized by people, by scanners for secrets and by the log. */
const PREFIX = "spool_task_";
const ALGORITHM = "HS256";
const TYPE = "spool-task+jwt";

const UUID = v.pipe(v.string(), v.uuid());
const HEADER = v.object({ kid: UUID });
const CLAIMS = v.object({
  sub: v.string(),
  exp: v.number(),
  namespace: v.string(),
  task_id: UUID,
  scopes: v.array(v.picklist(TASK_TOKEN_SCOPES)),
});

interface VerifiedToken {
  key: SigningKey;
  validity: Validity;
  identity: Identity;
}

/** Signs and verifies tokens for single tasks. The database stores the keys, and no token. docs/task-tokens.md */
export class TaskTokens implements TokenSource {
  readonly #keys: SigningKeys;
  readonly #verified = new LRUCache<string, VerifiedToken>({ max: TOKENS_MAX });

  constructor(store: Pick<Store, "priorityDb">) {
    this.#keys = new SigningKeys(store);
  }

  readonly create: ServiceAdmin["createTaskToken"] = async (by, wanted) => {
    const granted = grantTaskToken(by, wanted, new Date());
    const { keyId, secret } = await this.#keys.forSigning();
    const claims = { namespace: granted.namespace, task_id: granted.taskId, scopes: granted.scopes };
    const signed = await new SignJWT(claims)
      .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid: keyId })
      .setSubject(granted.createdBy)
      .setJti(crypto.randomUUID())
      .setIssuedAt()
      // To the millisecond: RFC 7519 allows fractions of a second.
      .setExpirationTime(granted.expiresAt.getTime() / 1_000)
      .sign(secret);
    return { token: `${PREFIX}${signed}`, expiresAt: granted.expiresAt };
  };

  find({ text, digest }: PresentedToken): Identity | Promise<Identity> | null {
    if (!text.startsWith(PREFIX)) return null;
    const known = this.#verified.get(digest);
    if (known === undefined || this.#keys.find(known.key.keyId) === undefined) return this.#verify(text, digest);
    known.validity.check();
    return known.identity;
  }

  async #verify(text: string, digest: string): Promise<Identity> {
    if (text.length > TOKEN_CHARS_MAX) throw new Unauthenticated("wrong");
    const jwt = text.slice(PREFIX.length);
    const keyId = readKeyId(jwt);
    const key = this.#keys.find(keyId) ?? (await this.#keys.lookUp(keyId));
    if (key === undefined) throw new Unauthenticated("wrong");
    const token = await readToken(jwt, key);
    const validity = new Validity({ expiresAt: token.expiresAt });
    validity.check();
    const identity: Identity = {
      principal: taskTokenPrincipal(token),
      expiresAt: token.expiresAt,
      onInvalid: (listener) => validity.onInvalid(listener),
    };
    this.#verified.set(digest, { key, validity, identity });
    return identity;
  }
}

/** @throws Unauthenticated */
function readKeyId(jwt: string): string {
  try {
    return v.parse(HEADER, decodeProtectedHeader(jwt)).kid;
  } catch {
    throw new Unauthenticated("wrong");
  }
}

/** @throws Unauthenticated */
async function readToken(jwt: string, { secret }: SigningKey): Promise<TaskToken> {
  const { payload } = await jwtVerify(jwt, secret, { algorithms: [ALGORITHM], typ: TYPE }).catch((error: unknown) => {
    if (!(error instanceof errors.JOSEError)) throw error;
    throw new Unauthenticated(error instanceof errors.JWTExpired ? "expired" : "wrong");
  });
  const read = v.safeParse(CLAIMS, payload);
  if (!read.success) throw new Unauthenticated("wrong"); // A newer version may sign other claims.
  const { namespace, task_id: taskId, scopes, sub, exp } = read.output;
  return { namespace, taskId, scopes, createdBy: sub, expiresAt: new Date(exp * 1_000) };
}
