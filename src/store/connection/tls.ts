import { readFile } from "node:fs/promises";
import type { ConnectionOptions } from "node:tls";
import type { TlsMode, TlsSettings } from "./database-address.ts";
import { DatabaseMisconfigured } from "./session-check.ts";

/** How to try one connection: false for plain text, or the options of TLS. */
export type TlsTry = false | ConnectionOptions;

/** How far the server's certificate is verified. `authority`: a trusted authority signed it. `name`: also its name. */
type Verified = "nothing" | "authority" | "name";

/**
 * Returns the ways to connect, the preferred one first. Files are read each time, so a renewed certificate needs no
 * restart.
 *
 * @throws DatabaseMisconfigured if a file cannot be read
 */
export async function tlsTries({ mode, rootCert, cert, key }: TlsSettings): Promise<TlsTry[]> {
  if (mode === "disable") return [false];
  const files = { ca: await readPem("sslrootcert", rootCert), cert: await readPem("sslcert", cert) };
  const verified = verifiedBy(mode, rootCert !== null);
  const encrypted: ConnectionOptions = {
    ...(files.ca && { ca: files.ca }),
    ...(files.cert && { cert: files.cert }),
    ...(key !== null && { key: await readPem("sslkey", key) }),
    rejectUnauthorized: verified !== "nothing",
    ...(verified === "authority" && { checkServerIdentity: () => undefined }),
  };
  if (mode === "allow") return [false, encrypted];
  return mode === "prefer" ? [encrypted, false] : [encrypted];
}

/**
 * Follows libpq: if a root certificate is given, `require` verifies that its authority signed the server's certificate.
 */
function verifiedBy(mode: TlsMode, hasRoot: boolean): Verified {
  if (mode === "verify-full") return "name";
  return mode === "verify-ca" || (mode === "require" && hasRoot) ? "authority" : "nothing";
}

async function readPem(name: string, file: string | null): Promise<Buffer | undefined> {
  if (file === null) return undefined;
  try {
    return await readFile(file);
  } catch (error) {
    throw new DatabaseMisconfigured(`${name} in the database URL: ${(error as Error).message}`, { cause: error });
  }
}

const UNTRUSTED = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "CERT_SIGNATURE_FAILURE",
]);

/** Turns an error of TLS into one that says what to change. Returns any other error unchanged. */
export function explainTls(error: Error, { mode }: TlsSettings, label: string): Error {
  const advice = adviceFor(error, mode);
  return advice === null ? error : new DatabaseMisconfigured(`${label}: ${advice}`, { cause: error });
}

function adviceFor(error: Error & { code?: string }, mode: TlsMode): string | null {
  const { message, code = "" } = error;
  if (message === "The server does not support SSL connections")
    return `the database does not speak TLS, which sslmode=${mode} requires: turn ssl on at its server, or use sslmode=prefer or disable`;
  if (UNTRUSTED.has(code))
    return `the database's certificate has no authority that sslmode=${mode} trusts (${message}): set sslrootcert=FILE to the certificate of the authority, or use sslmode=require without sslrootcert, which encrypts but verifies nothing`;
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return `the database's certificate is for another host (${message}): connect by a name in the certificate, or use sslmode=verify-ca`;
  if (code === "CERT_HAS_EXPIRED") return "the database's certificate has expired: renew it";
  if (/^no pg_hba\.conf entry .* no encryption$/.test(message))
    return `the database requires TLS (${message}): add sslmode=require or verify-full to its URL`;
  if (/valid client certificate/.test(message))
    return `the database requires a client certificate (${message}): set sslcert=FILE and sslkey=FILE`;
  return null;
}
