import { readFileSync } from "node:fs";
import type { TlsOptions } from "../../client/transport/connection-options.ts";
import { tlsCredentials } from "../../client/transport/tls.ts";
import { UsageError } from "../options/usage-error.ts";
import type { SelectedContext } from "./find-context.ts";

/** Returns the token of a context; undefined: it has none. @throws UsageError if its token file cannot be read */
export function contextToken({ name, context }: SelectedContext): string | undefined {
  if (context.tokenFile === undefined) return context.token;
  const token = readPart(name, "token file", context.tokenFile).toString("utf8").trim();
  if (token === "") throw new UsageError(`context ${name}: the token file ${context.tokenFile} is empty`);
  return token;
}

/**
 * Returns the TLS files of a context; undefined: it has none, and its address says whether to use TLS.
 *
 * @throws UsageError if a file cannot be read or is not PEM
 */
export function contextTls({ name, context }: SelectedContext): TlsOptions | undefined {
  const { tlsCa, tlsCert, tlsKey } = context;
  if (tlsCa === undefined && tlsCert === undefined) return undefined;
  const read = (what: string, path: string | undefined) =>
    path === undefined ? undefined : readPart(name, what, path);
  const [ca, cert, key] = [read("TLS authorities", tlsCa), read("TLS certificate", tlsCert), read("TLS key", tlsKey)];
  try {
    const tls = { ca, cert, key };
    tlsCredentials(tls);
    return tls;
  } catch (error) {
    const files = [tlsCa, tlsCert, tlsKey].filter((path) => path !== undefined).join(", ");
    throw new UsageError(`context ${name}: TLS files ${files}: ${(error as Error).message}`, { cause: error });
  }
}

function readPart(name: string, what: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UsageError(`context ${name}: ${what}: ${(error as Error).message}`, { cause: error });
  }
}
