import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import { readAddress } from "../../client/transport/address.ts";
import { checkNamespace } from "../../client/transport/namespace.ts";
import { parseHttpAddress } from "../options/http-address.ts";
import type { GlobalFlags } from "../options/settings.ts";
import { UsageError } from "../options/usage-error.ts";
import { jsonText, writeOut } from "../output/output.ts";
import { contextFilePath, readContextFile, writeContextFile } from "./context-file.ts";
import type { ServerContext } from "./context-file.ts";
import { contextTls, contextToken } from "./context-credentials.ts";

export interface AddOptions {
  httpAddress?: string;
  tokenFile?: string;
  tokenStdin?: true;
  tlsCa?: string;
  tlsCert?: string;
  tlsKey?: string;
  use?: true;
  replace?: true;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const TOKEN = /^[\x21-\x7e]{1,4096}$/;

/** Adds a context, and makes it the current one with `use`. @throws UsageError; nothing was written then */
export async function addContext(name: string, options: AddOptions, flags: GlobalFlags): Promise<void> {
  if (!NAME.test(name)) {
    throw new UsageError(
      `context name "${name}": must be 1 to 63 of [A-Za-z0-9._-], and begin with a letter or a digit`,
    );
  }
  const path = contextFilePath();
  const { current, contexts } = readContextFile(path);
  if (Object.hasOwn(contexts, name) && !options.replace) {
    throw new UsageError(`context ${name}: exists already; replace it with --replace, or remove it first`);
  }
  const added = await makeContext(options, flags);
  // Reports unreadable files now, and not at the first use.
  const selected = { name, source: "flag", context: added } as const;
  checkToken(contextToken(selected), added.tokenFile ?? "standard input");
  contextTls(selected);
  const isCurrent = options.use ?? current === name;
  writeContextFile(path, { current: isCurrent ? name : current, contexts: { ...contexts, [name]: added } });
  const use = isCurrent ? "is the current context" : `added; to use it by default: spool context use ${name}`;
  await writeOut(flags.json ? `${jsonText({ name, current: isCurrent })}\n` : `context ${name}: ${use}\n`);
}

async function makeContext(options: AddOptions, flags: GlobalFlags): Promise<ServerContext> {
  const { address, token, namespace } = flags;
  if (address === undefined) throw new UsageError("context add: give the address of the server with --address");
  if (token !== undefined) {
    throw new UsageError("--token: not allowed with context add; give --token-file or --token-stdin");
  }
  if (options.tokenFile !== undefined && options.tokenStdin) {
    throw new UsageError("--token-stdin: not allowed with --token-file; give one of them");
  }
  return {
    address: checkAddress(address),
    ...(options.httpAddress !== undefined && {
      httpAddress: parseHttpAddress(options.httpAddress, "--http-address").href,
    }),
    ...(options.tokenFile !== undefined && { tokenFile: resolve(options.tokenFile) }),
    ...(options.tokenStdin && { token: checkToken((await text(process.stdin)).trim(), "standard input") }),
    ...(namespace !== undefined && { namespace: parseNamespace(namespace) }),
    ...tlsFiles(options, address),
  };
}

function checkAddress(address: string): string {
  if (/\s/.test(address)) throw new UsageError(`--address "${address}": must be host:port or https://host:port`);
  try {
    readAddress(address);
  } catch (error) {
    throw new UsageError(`--${(error as Error).message}`, { cause: error });
  }
  return address;
}

function parseNamespace(namespace: string): string {
  try {
    checkNamespace(namespace);
    return namespace;
  } catch (error) {
    throw new UsageError(`--${(error as Error).message}`, { cause: error });
  }
}

function checkToken<Token extends string | undefined>(token: Token, from: string): Token {
  if (token === undefined || TOKEN.test(token)) return token;
  throw new UsageError(`token from ${from}: must be 1 to 4,096 visible ASCII characters`);
}

function tlsFiles({ tlsCa, tlsCert, tlsKey }: AddOptions, address: string): Partial<ServerContext> {
  const files = Object.entries({ tlsCa, tlsCert, tlsKey }).filter(
    (file): file is [string, string] => file[1] !== undefined,
  );
  if (files.length > 0 && !address.startsWith("https://")) {
    throw new UsageError(`--tls-ca, --tls-cert, --tls-key: need an https:// address; --address is ${address}`);
  }
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new UsageError("--tls-cert, --tls-key: must be given together");
  }
  return Object.fromEntries(files.map(([name, file]) => [name, resolve(file)]));
}
