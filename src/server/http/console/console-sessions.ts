import { Unauthenticated } from "../../../domain/errors.ts";
import type { Identity } from "../../../rpc/call/identity.ts";
import type { HttpRequest } from "../http-server.ts";
import { isOfOwnPage } from "../page-origin.ts";
import { BrowserValue } from "./cookies.ts";
import type { Seal } from "./seal.ts";

/** The longest time for which the console is signed in. */
const SESSION_MS_MAX = 12 * 3_600_000;

const PURPOSE = "session";
const COOKIE = new BrowserValue("spool-session");

/** A signed-in browser. */
export interface ConsoleSession {
  /** The credential of the session. Each request is authenticated by it, so a revoked token ends the session. */
  readonly token: string;
  readonly endsAt: Date;
}

/** Keeps sessions of the console: in the browser alone, as a sealed cookie. */
export class ConsoleSessions {
  readonly #seal: Seal;
  /** One for each identity, because what is made for an identity is remembered with it. */
  readonly #bounded = new WeakMap<Identity, { endsAtMs: number; identity: Identity }>();

  constructor(seal: Seal) {
    this.#seal = seal;
  }

  /**
   * Returns the session of a request; null: it has none, or is not certainly of a page of this server.
   *
   * @throws Unauthenticated if the session has ended
   */
  read(request: HttpRequest): ConsoleSession | null {
    if (request.headers.authorization !== undefined) return null; // The header wins.
    const sealed = COOKIE.read(request);
    if (sealed === null || !isOfOwnPage(request)) return null;
    const text = this.#seal.open(PURPOSE, sealed);
    if (text === null) return null;
    const { token, endsAtMs } = JSON.parse(text) as { token: string; endsAtMs: number };
    if (endsAtMs <= Date.now()) throw new Unauthenticated("expired");
    return { token, endsAt: new Date(endsAtMs) };
  }

  /**
   * Begins a session.
   *
   * @returns the session, and its values of `Set-Cookie`; null: the token is too long for a cookie
   */
  begin(
    request: HttpRequest,
    { token, isSecure }: { token: string; isSecure: boolean },
  ): { session: ConsoleSession; cookies: string[] } | null {
    const now = Date.now();
    const endsAtMs = Math.min(now + SESSION_MS_MAX, expiryOf(token) ?? Infinity);
    const maxAgeSeconds = Math.max(1, Math.floor((endsAtMs - now) / 1_000));
    const sealed = this.#seal.seal(PURPOSE, JSON.stringify({ token, endsAtMs }));
    const cookies = COOKIE.write(request, sealed, { isSecure, sameSite: "Strict", maxAgeSeconds });
    return cookies && { session: { token, endsAt: new Date(endsAtMs) }, cookies };
  }

  /** Returns the values of `Set-Cookie` that end a session. */
  end(request: HttpRequest): string[] {
    return COOKIE.clear(request);
  }

  /** Returns an identity that becomes invalid when its session ends. */
  bounded(identity: Identity, { endsAt }: ConsoleSession): Identity {
    const endsAtMs = endsAt.getTime();
    const known = this.#bounded.get(identity);
    if (known?.endsAtMs === endsAtMs) return known.identity;
    const onInvalid: Identity["onInvalid"] = (listener) => {
      const timer = setTimeout(() => listener(new Unauthenticated("expired")), endsAtMs - Date.now()).unref();
      const forget = identity.onInvalid(listener);
      return () => {
        clearTimeout(timer);
        forget();
      };
    };
    const entry = { endsAtMs, identity: { ...identity, onInvalid } };
    this.#bounded.set(identity, entry);
    return entry.identity;
  }
}

/** Returns when a JWT expires, without verifying it; null: unknown. Other tokens are checked at each request. */
function expiryOf(token: string): number | null {
  const [, payload, signature] = token.split(".");
  if (payload === undefined || signature === undefined) return null;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString());
    const seconds = (claims as { exp?: unknown } | null)?.exp;
    return typeof seconds === "number" ? seconds * 1_000 : null;
  } catch {
    return null;
  }
}
