import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { dirname, extname, join } from "node:path";
import { gzipSync } from "node:zlib";
import type { HttpHandler } from "./http-server.ts";

/** The output folder of scripts/build-console.ts. */
const BUILT = join(dirname(findPackageJSON(import.meta.url)!), "dist", "console");

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/**
 * Allows the page only its own scripts, styles and server. So content of tasks is never executed, loaded or sent
 * anywhere. Trusted types also prevent that a text becomes HTML.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const COMMON_HEADERS = {
  "content-security-policy": POLICY,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  vary: "accept-encoding",
};

interface File {
  plain: Buffer;
  /** Created on the first request. */
  gzipped: Buffer | null;
  headers: Readonly<Record<string, string>>;
}

/**
 * Serves the console from memory: its page at `/`, which browsers revalidate, and its assets, whose names contain a
 * hash of their content, so browsers cache them forever. Any other path is not found.
 *
 * @param folder the built console; if it is missing, the response says how to build it
 */
export function consoleFiles(folder = BUILT): HttpHandler {
  const files = readFiles(folder);
  return ({ method, url = "", headers }, response) => {
    const [path] = url.split("?", 1);
    const file = files.get(path!);
    if (file === undefined) {
      const isUnbuilt = path === "/" && files.size === 0;
      response.writeHead(isUnbuilt ? 503 : 404, { ...COMMON_HEADERS, "content-type": "text/plain; charset=utf-8" });
      response.end(isUnbuilt ? "The console is not built. Run: npm run build:console\n" : "Not found\n");
      return;
    }
    if (method !== "GET" && method !== "HEAD") {
      response.writeHead(405, { ...COMMON_HEADERS, allow: "GET, HEAD" });
      response.end();
      return;
    }
    if (headers["if-none-match"] === file.headers["etag"]) {
      response.writeHead(304, file.headers);
      response.end();
      return;
    }
    const isGzipped = /\bgzip\b/.test(String(headers["accept-encoding"] ?? ""));
    const body = isGzipped ? (file.gzipped ??= gzipSync(file.plain, { level: 9 })) : file.plain;
    const encoding = isGzipped ? { "content-encoding": "gzip" } : {};
    response.writeHead(200, { ...file.headers, ...encoding, "content-length": body.length });
    response.end(method === "HEAD" ? "" : body);
  };
}

/** Reads the files, by URL path. */
function readFiles(folder: string): Map<string, File> {
  if (!existsSync(join(folder, "index.html"))) return new Map();
  const assets = readdirSync(join(folder, "assets")).map((name): [string, File] => [
    `/assets/${name}`,
    readFile(join(folder, "assets", name), "public, max-age=31536000, immutable"),
  ]);
  return new Map([["/", readFile(join(folder, "index.html"), "no-cache")], ...assets]);
}

function readFile(path: string, caching: string): File {
  const plain = readFileSync(path);
  const headers = {
    ...COMMON_HEADERS,
    "content-type": TYPES[extname(path)] ?? "application/octet-stream",
    "cache-control": caching,
    // Weak: it identifies the content, whatever its encoding.
    etag: `W/"${createHash("sha256").update(plain).digest("base64url").slice(0, 22)}"`,
  };
  return { plain, gzipped: null, headers };
}
