import * as v from "valibot";
import { isLoopback } from "./loopback.ts";
import { setting } from "./setting.ts";
import type { Setting } from "./setting.ts";
import { text } from "./setting-values.ts";

/** How people sign in to the console. */
export interface ConsoleSettings {
  /** Seals the sessions of the console, for all servers that share it. null: see consoleSecretOf. */
  consoleSecret: string | null;
  /** The URL of the identity provider; null: people sign in with tokens only. */
  oidcIssuer: string | null;
  oidcClientId: string | null;
  /** null: a public client. */
  oidcClientSecret: string | null;
  /** Separated by spaces. */
  oidcScopes: string;
}

/** The identity provider of a server. */
export interface ProviderSettings {
  issuer: string;
  clientId: string;
  clientSecret: string | null;
  scopes: string;
}

/** From so many characters on, a token is assumed to be random, so that no caller can guess it from a sealed cookie. */
const SECRET_CHARS_MIN = 32;

export const CONSOLE_SETTINGS: { readonly [Name in keyof ConsoleSettings]: Setting<ConsoleSettings[Name]> } = {
  consoleSecret: setting(
    "SPOOL_CONSOLE_SECRET",
    text(/^[\x21-\x7e]{32,4096}$/, "32 to 4,096 visible ASCII characters"),
    null,
  ),
  oidcIssuer: setting("SPOOL_OIDC_ISSUER", issuer(), null),
  oidcClientId: setting("SPOOL_OIDC_CLIENT_ID", text(/^[\x20-\x7e]{1,256}$/, "1 to 256 ASCII characters"), null),
  oidcClientSecret: setting("SPOOL_OIDC_CLIENT_SECRET", text(/^[\x21-\x7e]+$/, "visible ASCII characters"), null),
  oidcScopes: setting(
    "SPOOL_OIDC_SCOPES",
    text(/^(?=(.* )?openid( |$))[\x20-\x7e]{1,1024}$/, "scopes separated by spaces, openid among them"),
    "openid profile email",
  ),
};

/** Accepts the URL of an identity provider. Plain HTTP would show codes and tokens to the network. */
function issuer(): v.GenericSchema<unknown, string> {
  const message = "must be a URL of https, or of http on this machine";
  return v.pipe(
    v.string(message),
    v.check((given) => {
      const url = URL.parse(given);
      return (
        url?.protocol === "https:" ||
        (url?.protocol === "http:" && isLoopback(url.hostname.replace(/^\[(.*)\]$/, "$1")))
      );
    }, message),
  );
}

/** Returns what is wrong with settings that belong together. */
export function consoleProblems({
  oidcIssuer,
  oidcClientId,
  oidcClientSecret,
  accessFile,
}: Partial<ConsoleSettings & { accessFile: string | null }>): string[] {
  if ((oidcIssuer === null) !== (oidcClientId === null)) {
    return ["SPOOL_OIDC_ISSUER, SPOOL_OIDC_CLIENT_ID: must be set together"];
  }
  if (typeof oidcIssuer === "string" && accessFile === null) {
    return ["SPOOL_OIDC_ISSUER: needs SPOOL_ACCESS_FILE, with the issuer's rights"];
  }
  return oidcIssuer === null && oidcClientSecret !== null ? ["SPOOL_OIDC_CLIENT_SECRET: needs SPOOL_OIDC_ISSUER"] : [];
}

/** Returns the identity provider of a server; null: it has none. */
export function providerOf(settings: ConsoleSettings): ProviderSettings | null {
  const { oidcIssuer, oidcClientId, oidcClientSecret, oidcScopes } = settings;
  if (oidcIssuer === null || oidcClientId === null) return null;
  return { issuer: oidcIssuer, clientId: oidcClientId, clientSecret: oidcClientSecret, scopes: oidcScopes };
}

/**
 * Returns the secret that seals the sessions of the console: the setting, or else the token of the server if it is long
 * enough. null: the server makes one that no other server knows.
 */
export function consoleSecretOf({ consoleSecret, token }: ConsoleSettings & { token: string | null }): string | null {
  if (consoleSecret !== null) return consoleSecret;
  return token !== null && token.length >= SECRET_CHARS_MIN ? token : null;
}

export function consoleSecrets({ consoleSecret, oidcClientSecret }: ConsoleSettings): (string | null)[] {
  return [consoleSecret, oidcClientSecret];
}
