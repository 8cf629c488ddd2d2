import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { ConfigurationError } from "./configuration.ts";
import type { Configuration } from "./configuration.ts";

/** A certificate, with those that it rests on, and its key: both PEM. */
export interface Certificate {
  cert: Buffer;
  key: Buffer;
}

/**
 * Reads the pair that the configuration names; null where it names none.
 *
 * @throws ConfigurationError where one cannot be read, is no PEM, or is not the other's
 */
export async function readCertificate({ tlsCert, tlsKey }: Configuration): Promise<Certificate | null> {
  if (tlsCert === null || tlsKey === null) return null;
  const [cert, key] = await Promise.all([read("SPOOL_TLS_CERT", tlsCert), read("SPOOL_TLS_KEY", tlsKey)]);
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw new ConfigurationError([
      `SPOOL_TLS_CERT, SPOOL_TLS_KEY: must be a pair in PEM (${(error as Error).message})`,
    ]);
  }
  return { cert, key };
}

async function read(variable: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new ConfigurationError([`${variable}: ${(error as Error).message}`]);
  }
}
