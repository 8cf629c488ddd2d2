import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { UsageError } from "../options/usage-error.ts";

/** A server that the user has named: its addresses, and how to authenticate. Paths are absolute. */
export interface ServerContext {
  readonly address: string;
  /** URL of the HTTP endpoint, where the console is. */
  readonly httpAddress?: string;
  readonly token?: string;
  /** The file that holds the token. Read by each command, so the token can be rotated. */
  readonly tokenFile?: string;
  /** The namespace of calls. */
  readonly namespace?: string;
  /** PEM file with the authorities to trust instead of the machine's. */
  readonly tlsCa?: string;
  /** PEM files of the client's certificate and its key: both or neither. */
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** The contexts of a user, by name. */
export interface ContextFile {
  /** The context that commands use if none is named; null: none. */
  readonly current: string | null;
  readonly contexts: Readonly<Record<string, ServerContext>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

const FIELDS = ["address", "httpAddress", "token", "tokenFile", "namespace", "tlsCa", "tlsCert", "tlsKey"] as const;
const NONE: ContextFile = { current: null, contexts: {} };
/** Only the user may read the file: it can hold tokens. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** Returns the path of the user's contexts. The XDG specification ignores an XDG_CONFIG_HOME that is relative. */
export function contextFilePath(environment: Environment = process.env): string {
  const configured = environment["XDG_CONFIG_HOME"] ?? "";
  const folder = isAbsolute(configured) ? configured : join(environment["HOME"] || homeFolder(), ".config");
  return join(folder, "spool", "contexts.json");
}

/** Returns the home of the user; `/` for a user without an entry in the system's list, as in a container. */
function homeFolder(): string {
  try {
    return homedir();
  } catch {
    return "/";
  }
}

/** Reads the contexts; none if the file does not exist. @throws UsageError for a file that is not valid */
export function readContextFile(path: string): ContextFile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return NONE;
    throw new UsageError(`${path}: ${message}`, { cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(path, "must be JSON"); // The parser's message quotes the file, which may hold a token.
  }
  const { current = null, contexts = {} } = object(path, "the file", value);
  const named = Object.entries(object(path, "contexts", contexts));
  if (current !== null && typeof current !== "string") throw invalid(path, "current must be a text or null");
  return { current, contexts: Object.fromEntries(named.map(([name, fields]) => [name, context(path, name, fields)])) };
}

/**
 * Replaces the file of contexts: a reader sees the old file or the new one, also after a crash. Only the user can read
 * the file.
 *
 * @throws UsageError if the file cannot be written
 */
export function writeContextFile(path: string, file: ContextFile): void {
  const text = `${JSON.stringify(file, null, 2)}\n`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: FOLDER_MODE });
    const target = resolveLink(path);
    const temporary = `${target}.${process.pid}.tmp`;
    try {
      const descriptor = openSync(temporary, "wx", FILE_MODE);
      try {
        writeSync(descriptor, text);
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
      renameSync(temporary, target);
    } finally {
      rmSync(temporary, { force: true });
    }
  } catch (error) {
    throw new UsageError(`${path}: cannot be written: ${(error as Error).message}`, { cause: error });
  }
}

/** Returns the file that the path leads to: a file that is a link, as dotfile managers make it, stays one. */
function resolveLink(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function context(path: string, name: string, value: unknown): ServerContext {
  const fields = object(path, `context ${name}`, value);
  for (const field of FIELDS) {
    const text = fields[field];
    if (text === undefined && field !== "address") continue;
    if (typeof text !== "string" || text === "") throw invalid(path, `context ${name}: ${field} must be a text`);
  }
  return Object.fromEntries(
    FIELDS.flatMap((field) => (fields[field] === undefined ? [] : [[field, fields[field]]])),
  ) as unknown as ServerContext;
}

function object(path: string, what: string, value: unknown): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid(path, `${what} must be a JSON object`);
}

function invalid(path: string, problem: string): UsageError {
  return new UsageError(`${path}: ${problem}; correct or remove the file`);
}
