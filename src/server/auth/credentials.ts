import { dirname, resolve } from "node:path";
import type { Logger } from "pino";
import { OPEN } from "../../rpc/call/identity.ts";
import type { Authenticator } from "../../rpc/call/identity.ts";
import type { ServiceAdmin } from "../../engine/api/service-admin.ts";
import type { Store } from "../../store/database.ts";
import { ConfigurationError } from "../config/configuration.ts";
import type { Configuration } from "../config/configuration.ts";
import { requiresCredential } from "../config/contradictions.ts";
import { WatchedFiles } from "../watched-files.ts";
import { parseAccessFile } from "./access-file.ts";
import { authenticateBy } from "./authenticate.ts";
import type { CertificateSource } from "./authenticate.ts";
import type { TokenSource } from "./bearer.ts";
import { anyCertificate, CertificateRules } from "./certificate-rules.ts";
import { FileTokens } from "./file-tokens.ts";
import { JsonWebTokens } from "./json-web-tokens.ts";
import { sharedToken } from "./shared-token.ts";
import { TaskTokens } from "./task-tokens.ts";
import { TokenDirectory } from "./token-directory.ts";

/** The credentials that a server accepts. */
export interface ServerCredentials extends AsyncDisposable {
  readonly authenticator: Authenticator;
  /** undefined: calls are not authenticated, so there are no tokens. */
  readonly createTaskToken: ServiceAdmin["createTaskToken"] | undefined;
  /** Reads the tokens of the database, whose schema is current now. Has no effect if it has done so. */
  start(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

type Settings = Pick<Configuration, "token" | "accessFile" | "tlsClientAuth">;

/**
 * Opens what the configuration requires of callers: nothing, if no credential is configured.
 *
 * @throws ConfigurationError if the access file cannot be used
 */
export async function openCredentials({
  settings,
  store,
  log,
}: {
  settings: Settings;
  store: Pick<Store, "priorityDb">;
  log: Logger;
}): Promise<ServerCredentials> {
  if (!requiresCredential(settings)) {
    return { authenticator: OPEN, createTaskToken: undefined, async start() {}, async [Symbol.asyncDispose]() {} };
  }
  const { token, accessFile, tlsClientAuth } = settings;
  await using opened = new AsyncDisposableStack();
  const sources: TokenSource[] = [];
  if (token !== null) sources.push(sharedToken(token));
  let certificates: CertificateSource | null = tlsClientAuth === "require" ? anyCertificate() : null;
  if (accessFile !== null) {
    const file = await openAccessFile(accessFile, log);
    opened.use(file);
    sources.push(...file.sources);
    ({ certificates } = file);
  }
  const taskTokens = new TaskTokens(store);
  sources.push(taskTokens);
  const tokens = new TokenDirectory(store, { log });
  opened.defer(() => tokens.stop());
  sources.push(tokens); // Last, because it asks the database for tokens that it does not know.
  const open = opened.move();
  return {
    authenticator: authenticateBy(sources, certificates),
    createTaskToken: taskTokens.create,
    start: () => tokens.start(),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** Reads the access file, and polls it. @throws ConfigurationError */
async function openAccessFile(path: string, log: Logger) {
  const [tokens, jwts, certificates] = [new FileTokens(), new JsonWebTokens(log), new CertificateRules()];
  const files = new WatchedFiles({
    name: "access file",
    paths: [path],
    log,
    async onChange([content]) {
      const file = parseAccessFile(content!.toString());
      await jwts.replace(file.jwt.map((entry) => ({ ...entry, jwks: locate(entry.jwks, path) })));
      tokens.replace(file.tokens);
      certificates.replace(file.certificates);
    },
  });
  try {
    await files.read();
  } catch (error) {
    await jwts[Symbol.asyncDispose]();
    throw new ConfigurationError([`SPOOL_ACCESS_FILE: ${(error as Error).message}`]);
  }
  files.start();
  return {
    sources: [tokens, jwts] as const,
    certificates,
    async [Symbol.asyncDispose]() {
      await files[Symbol.asyncDispose]();
      await jwts[Symbol.asyncDispose]();
    },
  };
}

/** Returns a URL as it is, and a path relative to the access file. */
function locate(jwks: string, accessFile: string): string {
  return /^https?:\/\//.test(jwks) ? jwks : resolve(dirname(accessFile), jwks);
}
