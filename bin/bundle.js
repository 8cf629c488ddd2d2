// Plain JavaScript, for it is read before Spool's sources are.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Beside the bundle: what it was made from. */
export const BUILT_FROM = "built-from.json";

/**
 * The bundled command line of a package or checkout, or null where there is none that fits the sources: a checkout runs
 * its sources, and may have been changed since the bundle was made.
 *
 * @param {string} root
 * @returns {string | null}
 */
export function findBundle(root) {
  const folder = join(root, "dist", "cli");
  const bundle = join(folder, "spool.js");
  try {
    const { sources, digest } = JSON.parse(readFileSync(join(folder, BUILT_FROM), "utf8"));
    return existsSync(bundle) && digestSources(root, sources) === digest ? bundle : null;
  } catch {
    return null;
  }
}

/**
 * Of the sources' content: 120 files of which most are short, 3 ms.
 *
 * @param {string} root
 * @param {readonly string[]} sources
 * @returns {string}
 */
export function digestSources(root, sources) {
  const hash = createHash("sha256");
  for (const path of sources)
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(root, path)))
      .update("\0");
  return hash.digest("hex");
}
