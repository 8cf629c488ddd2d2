import { readFileSync } from "node:fs";
import { ADDRESS_DEFAULT } from "../../client/transport/address.ts";
import { UsageError } from "./usage-error.ts";

/** The options that every command has. */
export interface GlobalFlags {
  address?: string;
  token?: string;
  json?: boolean;
  config?: string;
}

/** The address of the server and the token for it. */
export interface ClientSettings {
  address: string;
  /** False if `address` is the default. */
  isAddressConfigured: boolean;
  token: string | undefined;
}

/**
 * Reads the settings of a client. Precedence: flag, environment variable, config file, default. An empty variable counts
 * as unset. The config file is a JSON object with `address` and `token`; its other fields are the server's settings.
 *
 * @throws UsageError
 */
export function readSettings(
  flags: GlobalFlags,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ClientSettings {
  const path = flags.config ?? (environment["SPOOL_CONFIG"] || undefined);
  const file = path === undefined ? {} : readConfigFile(path);
  const configured = flags.address ?? (environment["SPOOL_ADDRESS"] || file.address);
  return {
    address: configured ?? ADDRESS_DEFAULT,
    isAddressConfigured: configured !== undefined,
    token: flags.token ?? (environment["SPOOL_TOKEN"] || file.token),
  };
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
