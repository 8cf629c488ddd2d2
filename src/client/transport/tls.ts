import { createPrivateKey, X509Certificate } from "node:crypto";
import { credentials } from "@grpc/grpc-js";
import type { ChannelCredentials } from "@grpc/grpc-js";
import type { TlsOptions } from "./connection-options.ts";

/** @throws TypeError that names the option: for a text that is not PEM, and for a certificate without its key */
export function tlsCredentials(
  { ca, cert, key }: TlsOptions,
  { isVerified = true }: { isVerified?: boolean } = {},
): ChannelCredentials {
  if ((cert === undefined) !== (key === undefined)) throw new TypeError("tls: cert and key must be given together");
  const authorities = readPem("ca", ca, readCertificate);
  const chain = readPem("cert", cert, readCertificate);
  const privateKey = readPem("key", key, createPrivateKey);
  if (chain !== null && !chain.parsed.checkPrivateKey(privateKey!.parsed)) {
    throw new TypeError("tls: key must be the private key of cert");
  }
  return credentials.createSsl(authorities?.bytes ?? null, privateKey?.bytes ?? null, chain?.bytes ?? null, {
    rejectUnauthorized: isVerified,
  });
}

/** Parses an option. OpenSSL ignores a `ca` that is not PEM, so that every server would count as unknown. */
function readPem<Parsed>(
  name: keyof TlsOptions,
  pem: string | Uint8Array | undefined,
  parse: (bytes: Buffer) => Parsed,
): { bytes: Buffer; parsed: Parsed } | null {
  if (pem === undefined) return null;
  try {
    const bytes = Buffer.from(pem as Uint8Array);
    return { bytes, parsed: parse(bytes) };
  } catch (error) {
    const what = name === "key" ? "an unencrypted private key" : "a certificate";
    throw new TypeError(`tls: ${name} must hold ${what} in PEM (${(error as Error).message})`, { cause: error });
  }
}

/** Returns the first certificate. */
function readCertificate(bytes: Buffer): X509Certificate {
  if (!/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/.test(bytes.toString("latin1"))) {
    throw new Error("no line says BEGIN CERTIFICATE");
  }
  return new X509Certificate(bytes);
}
