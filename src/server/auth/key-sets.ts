import { createLocalJWKSet, createRemoteJWKSet } from "jose";
import type { JSONWebKeySet, JWTVerifyGetKey } from "jose";
import type { Logger } from "pino";
import { Loop } from "../../async/loop.ts";
import { WatchedFiles } from "../watched-files.ts";

/** How often a key set is fetched again. A key that its issuer has removed is used for this long. */
const FETCH_MS = 60_000;
const FETCH_TIMEOUT_MS = 5_000;
/** How often an unknown key may cause a fetch. */
const COOLDOWN_MS = 30_000;

/** The keys of an issuer. */
export interface KeySet extends AsyncDisposable {
  /** Rises when the keys change. */
  readonly version: number;
  readonly getKey: JWTVerifyGetKey;
  /** Loads the keys, and loads them again when they change. */
  start(): Promise<void>;
}

/** Opens a key set. @param location a URL of http or https, or the path of a file */
export function openKeySet(location: string, log: Logger): KeySet {
  return /^https?:\/\//.test(location) ? new FetchedKeys(new URL(location), log) : new FileKeys(location, log);
}

class FileKeys implements KeySet {
  readonly #files: WatchedFiles;
  #keys: JWTVerifyGetKey = createLocalJWKSet({ keys: [] });
  version = 0;

  constructor(path: string, log: Logger) {
    const onChange = ([content]: readonly Buffer[]) => {
      this.#keys = createLocalJWKSet(parseKeySet(content!));
      this.version++;
    };
    this.#files = new WatchedFiles({ name: path, paths: [path], onChange, log });
  }

  /** @throws Error if the file cannot be read, or is not a key set */
  async start(): Promise<void> {
    await this.#files.read();
    this.#files.start();
  }

  readonly getKey: JWTVerifyGetKey = (header, token) => this.#keys(header, token);

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#files[Symbol.asyncDispose]();
  }
}

/** A file with private keys would have secrets in it, but the library takes it. Its public part is used. */
function parseKeySet(content: Buffer): JSONWebKeySet {
  try {
    return JSON.parse(content.toString()) as JSONWebKeySet;
  } catch {
    throw new Error("a key set must be JSON");
  }
}

/** While the URL fails, the last keys stay. */
class FetchedKeys implements KeySet {
  readonly #keys: ReturnType<typeof createRemoteJWKSet>;
  readonly #fetches: Loop;
  readonly #log: Logger;
  readonly #url: string;
  #text = "";
  #isFailing = false;
  version = 0;

  constructor(url: URL, log: Logger) {
    this.#url = url.href;
    this.#log = log;
    const options = { cooldownDuration: COOLDOWN_MS, cacheMaxAge: Infinity, timeoutDuration: FETCH_TIMEOUT_MS };
    this.#keys = createRemoteJWKSet(url, options);
    this.#fetches = new Loop({ name: "jwks", everyMs: FETCH_MS, log, turn: () => this.#fetch() });
  }

  /** Does not throw if the URL fails: the issuer may start later than the server. */
  async start(): Promise<void> {
    await this.#fetch();
    this.#fetches.start();
  }

  readonly getKey: JWTVerifyGetKey = async (header, token) => {
    try {
      return await this.#keys(header, token);
    } finally {
      this.#noteChange(); // An unknown key may have caused a fetch.
    }
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fetches.stop();
  }

  async #fetch(): Promise<void> {
    try {
      await this.#keys.reload();
      this.#isFailing = false;
      this.#noteChange();
    } catch (error) {
      if (!this.#isFailing) this.#log.error({ err: error, url: this.#url }, "jwks: fetch failed, the keys before stay");
      this.#isFailing = true;
    }
  }

  #noteChange(): void {
    const text = JSON.stringify(this.#keys.jwks() ?? null);
    if (text === this.#text) return;
    this.#text = text;
    this.version++;
  }
}
