import { LRUCache } from "lru-cache";
import type { Logger } from "pino";
import { Loop } from "../../async/loop.ts";
import { StoreUnavailable, Unauthenticated } from "../../domain/errors.ts";
import type { CredentialProblem } from "../../domain/errors.ts";
import type { Identity } from "../../rpc/call/identity.ts";
import { findTokens, listChangedTokens, listValidTokens, readClock } from "../../store/access/tokens.ts";
import type { TokenRow } from "../../store/access/tokens.ts";
import type { Store } from "../../store/database.ts";
import type { PresentedToken, TokenSource } from "./bearer.ts";
import { TokenLookups } from "./token-lookups.ts";
import { Validity } from "./validity.ts";

/** How many tokens are cached. Others are looked up. */
const TOKENS_MAX = 10_000;
const POLL_MS = 2_000;
const CHANGES_MAX = 1_000;
/** How far back each poll reads: a transaction that commits late has the time at which it began. */
const MARGIN_MS = 60_000;
/** How long a refused token is refused without a look-up. */
const REFUSED_MS = 60_000;

/** A token that `spool token create` makes. */
const FORM = /^spool_[\w-]{43}$/;

interface KnownToken {
  identity: Identity;
  validity: Validity;
}

/**
 * The tokens of the database. Valid tokens are cached, and changes are polled: a revoked token is refused within
 * seconds, and while the database is down, the tokens that were valid before are admitted. A token that was created a
 * moment ago is looked up by its first call.
 */
export class TokenDirectory implements TokenSource {
  readonly #store: Pick<Store, "priorityDb">;
  readonly #known = new LRUCache<string, KnownToken>({ max: TOKENS_MAX });
  readonly #refused = new LRUCache<string, CredentialProblem>({ max: TOKENS_MAX, ttl: REFUSED_MS });
  /** The tokens with open calls, by their ids. Each of these ends when it is revoked, even if it is no longer cached. */
  readonly #inUse = new Map<string, Validity>();
  readonly #lookups: TokenLookups;
  readonly #polls: Loop;
  /** The newest change that was read. null: the directory has not started. */
  #seenAt: Date | null = null;

  /** @param pollMs how often changes are read */
  constructor(store: Pick<Store, "priorityDb">, { pollMs = POLL_MS, log }: { pollMs?: number; log: Logger }) {
    this.#store = store;
    this.#lookups = new TokenLookups(async (digests) => {
      const rows = await findTokens(store.priorityDb, digests.map(toBytes));
      return rows.map((row) => [toText(row.digest), row]);
    });
    this.#polls = new Loop({ name: "tokens", everyMs: pollMs, log, turn: () => this.#readChanges() });
  }

  /** Reads the tokens, and polls from then on. Does nothing if it has done so. @throws StoreUnavailable */
  async start(): Promise<void> {
    if (this.#seenAt !== null) return;
    const now = await readClock(this.#store.priorityDb);
    const rows = await listValidTokens(this.#store.priorityDb, TOKENS_MAX);
    for (const row of rows.toReversed()) this.#apply(row);
    this.#seenAt = now;
    this.#polls.start();
  }

  stop(): Promise<void> {
    return this.#polls.stop();
  }

  find({ text, digest }: PresentedToken): Identity | Promise<Identity> | null {
    const known = this.#known.get(digest);
    if (known !== undefined) {
      known.validity.check();
      return known.identity;
    }
    if (!FORM.test(text)) return null;
    const problem = this.#refused.get(digest);
    if (problem !== undefined) throw new Unauthenticated(problem);
    if (this.#seenAt === null) throw new StoreUnavailable(new Error("the tokens have not been read yet"));
    return this.#lookUp(digest);
  }

  async #lookUp(digest: string): Promise<Identity> {
    const row = await this.#lookups.find(digest);
    if (row === undefined) this.#refused.set(digest, "wrong");
    else this.#apply(row);
    const known = this.#known.get(digest);
    if (known === undefined) throw new Unauthenticated(this.#refused.get(digest) ?? "wrong");
    known.validity.check();
    return known.identity;
  }

  async #readChanges(): Promise<void> {
    let since = new Date(this.#seenAt!.getTime() - MARGIN_MS);
    for (;;) {
      const rows = await listChangedTokens(this.#store.priorityDb, { since, limit: CHANGES_MAX });
      for (const row of rows) this.#apply(row);
      const last = rows.at(-1)?.changedAt ?? since;
      if (last > this.#seenAt!) this.#seenAt = last;
      if (rows.length < CHANGES_MAX || last <= since) return;
      since = last;
    }
  }

  /** Takes over the state of a token. The rights of a token never change. */
  #apply({ tokenId, digest, name, grants, limits, expiresAt, revokedAt }: TokenRow): void {
    const key = toText(digest);
    if (revokedAt !== null) {
      this.#known.delete(key);
      this.#refused.set(key, "revoked");
      this.#inUse.get(tokenId)?.end("revoked");
      return;
    }
    if (this.#known.has(key)) return;
    const validity: Validity =
      this.#inUse.get(tokenId) ??
      new Validity({
        expiresAt,
        onUse: (isUsed) => {
          if (isUsed) this.#inUse.set(tokenId, validity);
          else this.#inUse.delete(tokenId);
        },
      });
    if (validity.problem !== null) {
      this.#refused.set(key, validity.problem);
      return;
    }
    const principal = { ...grants, name };
    const onInvalid: Identity["onInvalid"] = (listener) => validity.onInvalid(listener);
    this.#known.set(key, { validity, identity: { principal, limits, expiresAt: validity.expiresAt, onInvalid } });
    this.#refused.delete(key);
  }
}

function toBytes(digest: string): Buffer {
  return Buffer.from(digest, "base64url");
}

function toText(digest: Buffer): string {
  return digest.toString("base64url");
}
