import { readFileSync } from "node:fs";
import { ADDRESS_DEFAULT } from "../../client/transport/address.ts";
import { UsageError } from "./usage-error.ts";

/** What every command takes. */
export interface GlobalFlags {
  address?: string;
  token?: string;
  json?: boolean;
  config?: string;
}

/** Where the server is, and what it asks for. */
export interface ClientSettings {
  address: string;
  /** Whether somebody has said so, or it is the default. */
  isAddressNamed: boolean;
  token: string | undefined;
}

/**
 * A flag counts before the environment, that before the file, that before the default; an empty variable counts as
 * unset. The file is a JSON object with `address` and `token`; what else is in it belongs to the server.
 *
 * @throws UsageError
 */
export function readSettings(
  flags: GlobalFlags,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ClientSettings {
  const path = flags.config ?? (environment["SPOOL_CONFIG"] || undefined);
  const file = path === undefined ? {} : readConfigFile(path);
  const named = flags.address ?? (environment["SPOOL_ADDRESS"] || file.address);
  return {
    address: named ?? ADDRESS_DEFAULT,
    isAddressNamed: named !== undefined,
    token: flags.token ?? (environment["SPOOL_TOKEN"] || file.token),
  };
}

function readConfigFile(path: string): { address?: string; token?: string } {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    // A parser's message quotes the text, and that may hold the token.
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
  if (typeof value !== "string" || value === "") throw new UsageError(`${name} in ${path}: must be a text`);
  return { [name]: value };
}
