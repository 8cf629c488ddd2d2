import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { ConfigurationError } from "./configuration.ts";
import type { Configuration } from "./configuration.ts";

/** A certificate chain and its private key, both PEM, and whether clients authenticate by certificates. */
export interface Certificate {
  cert: Buffer;
  key: Buffer;
  /** Left out: clients are not asked for a certificate. */
  clients?: ClientAuthority;
}

/** The authorities of client certificates. */
export interface ClientAuthority {
  /** PEM. */
  ca: Buffer;
  /** Whether connections without a certificate are refused. */
  isRequired: boolean;
}

/** The settings that name PEM files, in the order in which certificateOf takes their contents. */
const FILES = [
  ["tlsCert", "SPOOL_TLS_CERT"],
  ["tlsKey", "SPOOL_TLS_KEY"],
  ["tlsClientCa", "SPOOL_TLS_CLIENT_CA"],
] as const;

/** Returns the paths of the configured PEM files; empty: no TLS is configured. */
export function certificateFiles(configuration: Configuration): string[] {
  return FILES.flatMap(([name]) => configuration[name] ?? []);
}

/**
 * Reads the configured certificate and key; null if none are configured.
 *
 * @throws ConfigurationError if a file cannot be read, is not PEM, or the key does not match the certificate
 */
export async function readCertificate(configuration: Configuration): Promise<Certificate | null> {
  if (configuration.tlsCert === null) return null;
  const set = FILES.flatMap(([name, variable]) => {
    const path = configuration[name];
    return path === null ? [] : { variable, path };
  });
  return certificateOf(configuration, await Promise.all(set.map(read)));
}

/**
 * Returns the certificate of the contents of certificateFiles.
 *
 * @throws ConfigurationError if one is not PEM, or the key does not match the certificate
 */
export function certificateOf({ tlsClientAuth }: Configuration, contents: readonly Buffer[]): Certificate {
  const [cert, key, ca] = contents as [Buffer, Buffer, Buffer?];
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw new ConfigurationError([
      `SPOOL_TLS_CERT, SPOOL_TLS_KEY: must be a matching certificate and key in PEM (${(error as Error).message})`,
    ]);
  }
  if (ca === undefined) return { cert, key };
  // Node ignores a file without certificates, and would trust no client.
  if (!ca.includes("-----BEGIN CERTIFICATE-----")) {
    throw new ConfigurationError(["SPOOL_TLS_CLIENT_CA: must be certificates in PEM"]);
  }
  try {
    createSecureContext({ ca });
  } catch (error) {
    throw new ConfigurationError([`SPOOL_TLS_CLIENT_CA: must be certificates in PEM (${(error as Error).message})`]);
  }
  return { cert, key, clients: { ca, isRequired: tlsClientAuth === "require" } };
}

async function read({ variable, path }: { variable: string; path: string }): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new ConfigurationError([`${variable}: ${(error as Error).message}`]);
  }
}
