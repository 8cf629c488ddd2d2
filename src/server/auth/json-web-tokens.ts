import { decodeJwt, errors, jwtVerify } from "jose";
import type { JWTPayload, JWTVerifyOptions } from "jose";
import { LRUCache } from "lru-cache";
import pLimit from "p-limit";
import type { Logger } from "pino";
import { Overloaded, Unauthenticated } from "../../domain/errors.ts";
import type { Identity } from "../../rpc/call/identity.ts";
import { replaceEntries } from "./access-entries.ts";
import type { AccessEntry } from "./access-entries.ts";
import type { JwtIssuer } from "./access-file.ts";
import type { PresentedToken, TokenSource } from "./bearer.ts";
import { CallerLimits } from "./caller-limits.ts";
import { principalOf } from "./claims.ts";
import { openKeySet } from "./key-sets.ts";
import type { KeySet } from "./key-sets.ts";
import { Validity } from "./validity.ts";

const FORM = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const TOKEN_CHARS_MAX = 16_384;
/** How many verified tokens are cached. */
const VERIFIED_MAX = 10_000;
/** How many signatures are checked at once: as many as Node has threads for this. Further tokens wait. */
const CHECKS_MAX = 4;
const WAITING_MAX = 1_000;
/** By how much the clock of an issuer may differ. */
const TOLERANCE_S = 5;

interface Issuer {
  readonly entry: AccessEntry<JwtIssuer>;
  readonly keys: KeySet;
}

interface Verified {
  readonly identity: Identity;
  readonly validity: Validity;
  readonly issuer: Issuer;
  /** The version of the keys by which the signature was checked. */
  readonly version: number;
}

/**
 * Verifies JSON Web Tokens of the issuers of the access file. A verified token is cached until it expires, or until the
 * keys or the entry of its issuer change, so that its calls need no check of its signature.
 */
export class JsonWebTokens implements TokenSource, AsyncDisposable {
  readonly #log: Logger;
  readonly #verified = new LRUCache<string, Verified>({ max: VERIFIED_MAX });
  readonly #checks = new Map<string, Promise<Identity>>();
  readonly #turns = pLimit(CHECKS_MAX);
  readonly #limits = new CallerLimits();
  #issuers = new Map<string, Issuer>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * Takes over the issuers of a new file. Resolves when their keys are loaded, or could not be fetched.
   *
   * @throws Error if the file of a key set cannot be used. Then the issuers before stay
   */
  async replace(issuers: readonly JwtIssuer[]): Promise<void> {
    const before = this.#issuers;
    const opened: KeySet[] = [];
    try {
      const keySets = new Map<string, KeySet>();
      for (const value of issuers) {
        const last = before.get(keyOf(value));
        let keys = last?.entry.value.jwks === value.jwks ? last.keys : undefined;
        if (keys === undefined) {
          keys = openKeySet(value.jwks, this.#log);
          opened.push(keys);
          await keys.start();
        }
        keySets.set(keyOf(value), keys);
      }
      const entries = replaceEntries(
        new Map([...before].map(([key, { entry }]) => [key, entry])),
        new Map(issuers.map((value) => [keyOf(value), value])),
      );
      this.#issuers = new Map([...entries].map(([key, entry]) => [key, { entry, keys: keySets.get(key)! }]));
    } catch (error) {
      for (const keys of opened) await keys[Symbol.asyncDispose]();
      throw error;
    }
    this.#verified.clear();
    const used = new Set([...this.#issuers.values()].map(({ keys }) => keys));
    for (const { keys } of before.values()) if (!used.has(keys)) await keys[Symbol.asyncDispose]();
  }

  find({ text, digest }: PresentedToken): Identity | Promise<Identity> | null {
    const verified = this.#verified.get(digest);
    if (verified !== undefined && verified.version === verified.issuer.keys.version) {
      verified.validity.check();
      return verified.identity;
    }
    if (text.length > TOKEN_CHARS_MAX || !FORM.test(text)) return null;
    let check = this.#checks.get(digest);
    if (check === undefined) {
      if (this.#checks.size >= WAITING_MAX) throw new Overloaded("too many calls with unknown tokens");
      check = this.#turns(() => this.#verify(text, digest)).finally(() => this.#checks.delete(digest));
      this.#checks.set(digest, check);
    }
    return check;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { keys } of this.#issuers.values()) await keys[Symbol.asyncDispose]();
  }

  /** @throws Unauthenticated */
  async #verify(text: string, digest: string): Promise<Identity> {
    try {
      const issuer = this.#issuerOf(decodeJwt(text));
      if (issuer === undefined) throw new errors.JWTInvalid("no entry has the issuer and audience");
      const { entry, keys } = issuer;
      const { version } = keys;
      const { algorithms, issuer: iss, audience, grants, limits } = entry.value;
      const options = { algorithms: [...algorithms], issuer: iss, audience, clockTolerance: TOLERANCE_S };
      const payload = await verifyBy(keys, text, { ...options, requiredClaims: ["exp", "sub"] });
      const principal = principalOf(payload, grants);
      if (principal === null) throw new errors.JWTInvalid("a claim has another form, or a label of another value");
      const last = this.#verified.peek(digest);
      if (last?.issuer === issuer) {
        this.#verified.set(digest, { ...last, version });
        return last.identity;
      }
      const expiresAt = new Date((payload.exp! + TOLERANCE_S) * 1_000);
      const validity = new Validity({ expiresAt, parent: entry.validity });
      const identity: Identity = {
        principal,
        limits: this.#limits.of(limits, principal.name),
        expiresAt: validity.expiresAt,
        onInvalid: (listener) => validity.onInvalid(listener),
      };
      this.#verified.set(digest, { identity, validity, issuer, version });
      return identity;
    } catch (error) {
      this.#log.debug({ err: error }, "jwt: token refused");
      throw new Unauthenticated(error instanceof errors.JWTExpired ? "expired" : "wrong");
    }
  }

  /** Returns the issuer that the token names. Its signature shows later whether that is true. */
  #issuerOf({ iss, aud }: JWTPayload): Issuer | undefined {
    for (const audience of [aud ?? []].flat()) {
      const issuer = this.#issuers.get(keyOf({ issuer: iss ?? "", audience }));
      if (issuer !== undefined) return issuer;
    }
    return undefined;
  }
}

function keyOf({ issuer, audience }: { issuer: string; audience: string }): string {
  return JSON.stringify([issuer, audience]);
}

/** Checks the signature and the claims. If the token does not name its key, all keys that may be meant are tried. */
async function verifyBy({ getKey }: KeySet, text: string, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(text, getKey, options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return (await jwtVerify(text, key, options)).payload;
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
      }
    }
    throw error;
  }
}
