import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { ConfigurationError } from "./configuration.ts";
import type { Configuration } from "./configuration.ts";

/** A certificate chain and its private key, both PEM. */
export interface Certificate {
  cert: Buffer;
  key: Buffer;
}

/**
 * Reads the configured certificate and key; null if none are configured.
 *
 * @throws ConfigurationError if a file cannot be read, is not PEM, or the key does not match the certificate
 */
export async function readCertificate({ tlsCert, tlsKey }: Configuration): Promise<Certificate | null> {
  if (tlsCert === null || tlsKey === null) return null;
  const [cert, key] = await Promise.all([read("SPOOL_TLS_CERT", tlsCert), read("SPOOL_TLS_KEY", tlsKey)]);
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw new ConfigurationError([
      `SPOOL_TLS_CERT, SPOOL_TLS_KEY: must be a matching certificate and key in PEM (${(error as Error).message})`,
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
