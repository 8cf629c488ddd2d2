import { credentials } from "@grpc/grpc-js";
import type { ChannelCredentials } from "@grpc/grpc-js";
import type { TlsOptions } from "./connection-options.ts";

/** @throws TypeError for a certificate without a key, or the other way round */
export function tlsCredentials(
  { ca, cert, key }: TlsOptions,
  { isVerified = true }: { isVerified?: boolean } = {},
): ChannelCredentials {
  if ((cert === undefined) !== (key === undefined)) throw new TypeError("tls: cert and key must be given together");
  const [authorities = null, privateKey = null, chain = null] = [ca, key, cert].map((pem) =>
    pem === undefined ? null : Buffer.from(pem as Uint8Array),
  );
  return credentials.createSsl(authorities, privateKey, chain, { rejectUnauthorized: isVerified });
}
