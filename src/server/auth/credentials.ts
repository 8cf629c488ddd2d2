import type { Logger } from "pino";
import { OPEN } from "../../rpc/call/identity.ts";
import type { Authenticator } from "../../rpc/call/identity.ts";
import type { Store } from "../../store/database.ts";
import type { Configuration } from "../config/configuration.ts";
import { authenticateBy } from "./authenticate.ts";
import { sharedToken } from "./shared-token.ts";
import { TokenDirectory } from "./token-directory.ts";

/** The credentials that a server accepts. */
export interface ServerCredentials extends AsyncDisposable {
  readonly authenticator: Authenticator;
  /** Reads the tokens of the database, whose schema is current now. Has no effect if it has done so. */
  start(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Opens what the configuration requires of callers: nothing, if no credential is configured. */
export function openCredentials({
  configuration: { token },
  store,
  log,
}: {
  configuration: Configuration;
  store: Pick<Store, "priorityDb">;
  log: Logger;
}): ServerCredentials {
  if (token === null) return { authenticator: OPEN, async start() {}, async [Symbol.asyncDispose]() {} };
  const tokens = new TokenDirectory(store, { log });
  return {
    authenticator: authenticateBy([sharedToken(token), tokens]),
    start: () => tokens.start(),
    [Symbol.asyncDispose]: () => tokens.stop(),
  };
}
