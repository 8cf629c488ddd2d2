import { setting } from "./setting.ts";
import type { Setting } from "./setting.ts";
import { text } from "./setting-values.ts";

/** How people sign in to the console. */
export interface ConsoleSettings {
  /** Seals the sessions of the console, for all servers that share it. null: see consoleSecretOf. */
  consoleSecret: string | null;
}

/** From so many characters on, a token is assumed to be random, so that no caller can guess it from a sealed cookie. */
const SECRET_CHARS_MIN = 32;

export const CONSOLE_SETTINGS: { readonly [Name in keyof ConsoleSettings]: Setting<ConsoleSettings[Name]> } = {
  consoleSecret: setting(
    "SPOOL_CONSOLE_SECRET",
    text(/^[\x21-\x7e]{32,4096}$/, "32 to 4,096 visible ASCII characters"),
    null,
  ),
};

/**
 * Returns the secret that seals the sessions of the console: the setting, or else the token of the server if it is long
 * enough. null: the server makes one that no other server knows.
 */
export function consoleSecretOf({ consoleSecret, token }: ConsoleSettings & { token: string | null }): string | null {
  if (consoleSecret !== null) return consoleSecret;
  return token !== null && token.length >= SECRET_CHARS_MIN ? token : null;
}

export function consoleSecrets({ consoleSecret }: ConsoleSettings): (string | null)[] {
  return [consoleSecret];
}
