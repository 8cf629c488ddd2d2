import type { HttpRequest } from "../http-server.ts";
import { hostOf } from "../page-origin.ts";

/** Browsers drop a cookie of more than 4,096 bytes without a word, its name and attributes included. */
const CHUNK_CHARS = 3_800;
/** More would not fit into the 8 KiB that proxies allow a header. */
const CHUNKS_MAX = 2;

interface CookieOptions {
  /** Whether the page is loaded by https. */
  isSecure: boolean;
  /** `Lax`: also sent with the first request that comes from another site, such as an identity provider. */
  sameSite: "Strict" | "Lax";
  maxAgeSeconds: number;
}

/** A value in cookies of a browser, which scripts cannot read. */
export class BrowserValue {
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  /** Returns the value in the cookies of a request; null: none. */
  read(request: HttpRequest): string | null {
    const cookies = parseCookies(request.headers.cookie ?? "");
    for (const isSecure of [true, false]) {
      const name = this.#nameAt(request, isSecure);
      const chunks = chunkNames(name).map((chunk) => cookies.get(chunk) ?? "");
      if (chunks[0] !== "") return chunks.join("");
    }
    return null;
  }

  /** Returns the values of `Set-Cookie`; null: the value is too long for cookies. */
  write(request: HttpRequest, value: string, options: CookieOptions): string[] | null {
    if (value.length > CHUNKS_MAX * CHUNK_CHARS) return null;
    return chunkNames(this.#nameAt(request, options.isSecure)).map((name, index) => {
      const chunk = value.slice(index * CHUNK_CHARS, (index + 1) * CHUNK_CHARS);
      return setCookie(name, chunk, chunk === "" ? { ...options, maxAgeSeconds: 0 } : options);
    });
  }

  /** Returns the values of `Set-Cookie` that delete the value. */
  clear(request: HttpRequest): string[] {
    return [true, false].flatMap((isSecure) =>
      chunkNames(this.#nameAt(request, isSecure)).map((name) =>
        setCookie(name, "", { isSecure, sameSite: "Strict", maxAgeSeconds: 0 }),
      ),
    );
  }

  /**
   * Returns the name of the cookie. Browsers send the cookies of one port to all ports of a host, so the name has the
   * port: two services on one machine do not sign each other out. Names with `__Host-` cannot be set by other hosts.
   */
  #nameAt(request: HttpRequest, isSecure: boolean): string {
    const port = URL.parse(`http://${hostOf(request)}`)?.port ?? "";
    return `${isSecure ? "__Host-" : ""}${this.#name}${port === "" ? "" : `-${port}`}`;
  }
}

function chunkNames(name: string): string[] {
  return Array.from({ length: CHUNKS_MAX }, (_, index) => (index === 0 ? name : `${name}.${index}`));
}

function setCookie(name: string, value: string, { isSecure, sameSite, maxAgeSeconds }: CookieOptions): string {
  const secure = isSecure ? "; Secure" : "";
  return `${name}=${value}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=${sameSite}${secure}`;
}

/** Returns the cookies of a header by name. Of several with a name, the first: it has the longest path. */
function parseCookies(header: string): Map<string, string> {
  const cookies = new Map<string, string>();
  for (const pair of header.split(";")) {
    const [name = "", ...value] = pair.trim().split("=");
    if (!cookies.has(name)) cookies.set(name, value.join("="));
  }
  return cookies;
}
