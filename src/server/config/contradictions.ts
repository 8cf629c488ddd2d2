import { isLoopback } from "./loopback.ts";

/** The settings that decide whether callers need a credential. */
export interface AccessSettings {
  token?: string | null;
  accessFile?: string | null;
  tlsClientAuth?: "optional" | "require";
}

/** The settings that depend on each other. Undefined: the setting is invalid. */
interface RelatedSettings extends AccessSettings {
  host?: string;
  databaseUrl?: string | null;
  standbyUrl?: string | null;
  tlsCert?: string | null;
  tlsKey?: string | null;
  tlsClientCa?: string | null;
}

/** Whether callers need a credential. If not, each of them has all rights. */
export function requiresCredential({ token, accessFile, tlsClientAuth }: AccessSettings): boolean {
  return token != null || accessFile != null || tlsClientAuth === "require";
}

/** Returns the problems of valid settings with each other. */
export function contradictions(settings: RelatedSettings): string[] {
  const { host, tlsCert, tlsKey, tlsClientCa, tlsClientAuth } = settings;
  const problems: string[] = [];
  if (host !== undefined && !isLoopback(host) && !requiresCredential(settings)) {
    const others = "or SPOOL_ACCESS_FILE, or SPOOL_TLS_CLIENT_AUTH=require";
    problems.push(
      `SPOOL_TOKEN: must be set if SPOOL_HOST is not loopback, ${others}: other machines can reach the server`,
    );
  }
  if (typeof settings.standbyUrl === "string" && settings.databaseUrl === null) {
    problems.push("SPOOL_STANDBY_URL: needs SPOOL_DATABASE_URL, because an embedded database has no standby");
  }
  if ((tlsCert === null) !== (tlsKey === null)) problems.push("SPOOL_TLS_CERT, SPOOL_TLS_KEY: must be set together");
  if (typeof tlsClientCa === "string" && tlsCert === null) {
    problems.push("SPOOL_TLS_CLIENT_CA: needs TLS: set SPOOL_TLS_CERT and SPOOL_TLS_KEY");
  }
  if (tlsClientAuth === "require" && tlsClientCa === null) {
    problems.push("SPOOL_TLS_CLIENT_AUTH: require needs SPOOL_TLS_CLIENT_CA");
  }
  return problems;
}
