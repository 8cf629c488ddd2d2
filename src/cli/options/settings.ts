import { readFileSync } from "node:fs";
import type { TlsOptions } from "../../client/transport/connection-options.ts";
import { ADDRESS_DEFAULT } from "../../client/transport/address.ts";
import { contextTls, contextToken } from "../contexts/context-credentials.ts";
import { findContext } from "../contexts/find-context.ts";
import type { SelectedContext } from "../contexts/find-context.ts";
import { UsageError } from "./usage-error.ts";

/** The options that every command has. */
export interface GlobalFlags {
  address?: string;
  token?: string;
  context?: string;
  namespace?: string;
  json?: boolean;
  config?: string;
}

/** The address of the server and how to authenticate. */
export interface ClientSettings {
  address: string;
  /** False if `address` is the default. */
  isAddressConfigured: boolean;
  token: string | undefined;
  /** The namespace of calls; undefined: the server chooses it. */
  namespace: string | undefined;
  /** The TLS files of the context; undefined: the address says whether to use TLS. */
  tls: TlsOptions | undefined;
  /** URL of the HTTP endpoint; undefined: not configured. */
  httpAddress: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the settings of a client. Precedence: flag, environment variable, config file, current context, default.
 * `--context` counts as a flag and SPOOL_CONTEXT as a variable, each after those that set the same thing directly. An
 * empty variable counts as unset. The config file is a JSON object with `address` and `token`; its other fields are the
 * server's settings.
 *
 * The token, the namespace and the TLS files of a context are used only with its address.
 *
 * @throws UsageError
 */
export function readSettings(flags: GlobalFlags, environment: Environment = process.env): ClientSettings {
  if (flags.address !== undefined && flags.context !== undefined) {
    throw new UsageError("--context: not allowed with --address; give one of them");
  }
  const path = flags.config ?? (environment["SPOOL_CONFIG"] || undefined);
  const file = path === undefined ? {} : readConfigFile(path);
  const variables = {
    token: environment["SPOOL_TOKEN"],
    namespace: environment["SPOOL_CALL_NAMESPACE"],
    httpAddress: environment["SPOOL_HTTP_ADDRESS"],
  };
  const context = contextInUse(flags, environment, file.address);
  if (context !== null) {
    const { address, httpAddress, namespace } = context.context;
    // What the context sets, and what a variable sets directly.
    const chosen = (ofContext: string | undefined, variable: string | undefined) =>
      (context.source === "flag" ? ofContext || variable : variable || ofContext) || undefined;
    return {
      address,
      isAddressConfigured: true,
      token: flags.token ?? tokenInUse(context, variables.token, file.token),
      tls: contextTls(context),
      namespace: flags.namespace ?? chosen(namespace, variables.namespace),
      httpAddress: chosen(httpAddress, variables.httpAddress),
    };
  }
  const configured = flags.address ?? (environment["SPOOL_ADDRESS"] || file.address);
  return {
    address: configured ?? ADDRESS_DEFAULT,
    isAddressConfigured: configured !== undefined,
    token: flags.token ?? (variables.token || file.token),
    namespace: flags.namespace ?? (variables.namespace || undefined),
    tls: undefined,
    httpAddress: variables.httpAddress || undefined,
  };
}

/** Returns the token by the precedence of what selected the context. Reads the context's token only if it is used. */
function tokenInUse(
  context: SelectedContext,
  variable: string | undefined,
  fileToken: string | undefined,
): string | undefined {
  switch (context.source) {
    case "flag":
      return contextToken(context) || variable || fileToken;
    case "environment":
      return variable || contextToken(context) || fileToken;
    case "current":
      return variable || fileToken || contextToken(context);
  }
}

/** Returns the context whose address the command uses; null: the address comes from elsewhere. */
function contextInUse(
  flags: GlobalFlags,
  environment: Environment,
  fileAddress: string | undefined,
): SelectedContext | null {
  if (flags.address !== undefined) return null;
  const isNamed = flags.context !== undefined || Boolean(environment["SPOOL_CONTEXT"]);
  return isNamed || fileAddress === undefined ? findContext(flags.context, environment) : null;
}

function readConfigFile(path: string): { address?: string; token?: string } {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    // The parser's message quotes the file, which may hold the token.
    throw new UsageError(`${path}: ${error instanceof SyntaxError ? "must be JSON" : (error as Error).message}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new UsageError(`${path}: must be a JSON object`);
  }
  const { address, token } = value as Record<string, unknown>;
  return { ...text(path, "address", address), ...text(path, "token", token) };
}

function text(path: string, name: string, value: unknown): Record<string, string> {
  if (value === undefined || value === null) return {};
  if (typeof value !== "string" || value === "") throw new UsageError(`${name} in ${path}: must be a non-empty string`);
  return { [name]: value };
}
