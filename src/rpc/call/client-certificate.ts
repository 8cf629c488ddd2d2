import type { PeerCertificate } from "node:tls";
import type { ClientCertificate } from "./identity.ts";

/** A name with its type. Node quotes a name with characters that could end it. */
const NAME = /(?:^|, )([A-Za-z][A-Za-z ]*):("(?:[^"\\]|\\.)*"|[^,]*)/g;

/**
 * Returns the names in a certificate that was verified. Leaves out names that Node quotes: they have commas or quotes, and
 * could be read as other names.
 */
export function readClientCertificate({ subject, subjectaltname = "" }: PeerCertificate): ClientCertificate {
  const { CN: commonName } = subject as { CN?: string | string[] };
  const names = [...subjectaltname.matchAll(NAME)].filter(([, , name]) => !name!.startsWith('"'));
  return {
    commonName: typeof commonName === "string" ? commonName : "", // Several common names are ambiguous.
    alternativeNames: names.map(([, type, name]) => `${type}:${name}`),
  };
}
