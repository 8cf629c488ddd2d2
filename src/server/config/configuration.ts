import { readFileSync } from "node:fs";
import * as v from "valibot";
import {
  CRASHES_DEFAULT,
  CRASHES_MAX,
  STREAM_RESET_BURST_DEFAULT,
  STREAM_RESET_BURST_MAX,
  FOLLOWS_PER_CONNECTION_DEFAULT,
  REQUEST_TIMEOUT_MS_DEFAULT,
  STREAMS_PER_CONNECTION_DEFAULT,
  STREAMS_PER_CONNECTION_MAX,
  WAITING_READS_DEFAULT,
  WAITING_READS_MAX,
  WRITE_AHEAD_KIB_DEFAULT,
  WRITE_AHEAD_KIB_MAX,
} from "../../domain/limits.ts";
import { databasePasswords, databaseUrlProblem } from "../../store/connection/database-url.ts";
import { LOG_LEVELS } from "../log/log-level.ts";
import type { LogLevel } from "../log/log-level.ts";
import { isLoopback } from "./loopback.ts";
import { flag, host, integer, origins, path, portOrOff, text } from "./setting-values.ts";

/** How a server runs. Complete: defaults are filled in. Durations are milliseconds. */
export interface Configuration {
  host: string;
  /** 0: any that is free. */
  port: number;
  /** 0: any that is free; null: no HTTP door. */
  httpPort: number | null;
  /** Whose pages may call the HTTP door, besides its own. */
  httpOrigins: readonly string[];
  /** Files in PEM, both or neither: the doors then speak TLS. */
  tlsCert: string | null;
  tlsKey: string | null;
  /** What callers must carry; null: nobody is asked. Set wherever host is not loopback. */
  token: string | null;
  /** null: Postgres in process, in dataDir. */
  databaseUrl: string | null;
  dataDir: string;
  namespace: string;
  /** How many tasks run here at once. */
  slots: number;
  cancelGraceMs: number;
  leaseMs: number;
  drainMs: number;
  /** How many attempts of a task in a row may end with their process, before the task does. */
  crashesMax: number;
  /** What a stream puts ahead of its reader before it waits: the memory that one who stops reading costs. */
  writeAheadKib: number;
  /** How many streams one HTTP/2 connection may cancel at once before it is closed; a tenth as many a second. */
  streamResetBurst: number;
  /** How many calls and streams are open at once on one connection, at each port. */
  streamsPerConnection: number;
  /** Of them, streams over many tasks. */
  followsPerConnection: number;
  /** How many expensive reads of one connection, of each sort, wait for their turn. */
  waitingReads: number;
  /** How long a request at the HTTP port may take to arrive. */
  requestTimeoutMs: number;
  /** The folder that kinds may read files below. */
  sourcesDir: string;
  modelBaseUrl: string | null;
  modelApiKey: string | null;
  model: string | null;
  /** Whether servers tell each other of their commits by NOTIFY; else they look once a second. */
  notify: boolean;
  /** What becomes of the start of a kind that no process has. */
  unknownKinds: "wait" | "refuse";
  /** Whether to bring the database to this version's schema at start. */
  migrate: boolean;
  /** Whether anything is counted and measured. */
  metrics: boolean;
  logLevel: LogLevel;
  /** `auto`: pretty where stderr is a terminal, else json. */
  logFormat: "auto" | "json" | "pretty";
}

/** Everything that is wrong with a configuration. The command line answers it with exit code 2. */
export class ConfigurationError extends Error {
  /** One for each setting, each named as where it came from. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ConfigurationError";
    this.problems = problems;
  }
}

interface Setting<Value> {
  /** In the environment; the first that is set counts. */
  variables: readonly string[];
  schema: v.GenericSchema<unknown, Value>;
  fallback: Value;
}

const LOG_FORMATS = ["auto", "json", "pretty"] as const;

const UNKNOWN_KINDS = ["wait", "refuse"] as const;

const SETTINGS: { readonly [Name in keyof Configuration]: Setting<Configuration[Name]> } = {
  host: setting("SPOOL_HOST", host(), "127.0.0.1"),
  port: setting("SPOOL_PORT", integer(0, 65_535), 50_051),
  httpPort: setting("SPOOL_HTTP_PORT", portOrOff(), 8_080),
  httpOrigins: setting("SPOOL_HTTP_ORIGINS", origins(), []),
  tlsCert: setting("SPOOL_TLS_CERT", path(), null),
  tlsKey: setting("SPOOL_TLS_KEY", path(), null),
  // It travels in a header: no space, nothing that needs quoting.
  token: setting("SPOOL_TOKEN", text(/^[\x21-\x7e]{1,4096}$/, "1 to 4,096 visible ASCII characters"), null),
  databaseUrl: {
    variables: ["SPOOL_DATABASE_URL", "DATABASE_URL"],
    schema: v.pipe(
      text(/^postgres(ql)?:\/\/./, "a URL that begins with postgres:// or postgresql://"),
      v.check(
        (url) => databaseUrlProblem(url) === null,
        ({ input }) => databaseUrlProblem(input) ?? "",
      ),
    ),
    fallback: null,
  },
  dataDir: setting("SPOOL_DATA_DIR", path(), "./.spool"),
  namespace: setting("SPOOL_NAMESPACE", text(/^[A-Za-z0-9._-]{1,63}$/, "1 to 63 of [A-Za-z0-9._-]"), "default"),
  slots: setting("SPOOL_SLOTS", integer(1, 10_000), 64),
  cancelGraceMs: setting("SPOOL_CANCEL_GRACE_MS", integer(0, 3_600_000), 5_000),
  leaseMs: setting("SPOOL_LEASE_MS", integer(1_000, 600_000), 10_000),
  drainMs: setting("SPOOL_DRAIN_MS", integer(0, 3_600_000), 5_000),
  crashesMax: setting("SPOOL_CRASHES_MAX", integer(1, CRASHES_MAX), CRASHES_DEFAULT),
  writeAheadKib: setting("SPOOL_WRITE_AHEAD_KIB", integer(1, WRITE_AHEAD_KIB_MAX), WRITE_AHEAD_KIB_DEFAULT),
  streamResetBurst: setting("SPOOL_STREAM_RESET_BURST", integer(1, STREAM_RESET_BURST_MAX), STREAM_RESET_BURST_DEFAULT),
  streamsPerConnection: setting(
    "SPOOL_STREAMS_PER_CONNECTION",
    integer(1, STREAMS_PER_CONNECTION_MAX),
    STREAMS_PER_CONNECTION_DEFAULT,
  ),
  followsPerConnection: setting(
    "SPOOL_FOLLOWS_PER_CONNECTION",
    integer(1, STREAMS_PER_CONNECTION_MAX),
    FOLLOWS_PER_CONNECTION_DEFAULT,
  ),
  waitingReads: setting("SPOOL_WAITING_READS", integer(1, WAITING_READS_MAX), WAITING_READS_DEFAULT),
  requestTimeoutMs: setting("SPOOL_REQUEST_TIMEOUT_MS", integer(1_000, 3_600_000), REQUEST_TIMEOUT_MS_DEFAULT),
  sourcesDir: setting("SPOOL_SOURCES_DIR", path(), "."),
  modelBaseUrl: setting("SPOOL_MODEL_BASE_URL", text(/^https?:\/\/./, "a URL of http or https"), null),
  modelApiKey: setting("SPOOL_MODEL_API_KEY", text(/^[\x21-\x7e]+$/, "visible ASCII characters"), null),
  model: setting("SPOOL_MODEL", text(/^\S+$/, "the name of a model"), null),
  notify: setting("SPOOL_NOTIFY", flag(), true),
  unknownKinds: setting("SPOOL_UNKNOWN_KINDS", v.picklist(UNKNOWN_KINDS, "must be wait or refuse"), "wait"),
  migrate: setting("SPOOL_MIGRATE", flag(), true),
  metrics: setting("SPOOL_METRICS", flag(), true),
  logLevel: setting("SPOOL_LOG_LEVEL", v.picklist(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(", ")}`), "info"),
  logFormat: setting("SPOOL_LOG_FORMAT", v.picklist(LOG_FORMATS, `must be one of ${LOG_FORMATS.join(", ")}`), "auto"),
};

/** What the same file may say to the command line's calls. */
const OF_CLIENTS: ReadonlySet<string> = new Set(["address"]);

const NAMES = Object.keys(SETTINGS) as (keyof Configuration)[];

/** Where a value was found, in words that its owner knows. */
interface Found {
  from: string;
  value: unknown;
}

/**
 * Reads the configuration: a flag counts before the environment, that before the file, that before the default. An
 * empty variable counts as unset. No text of an error holds a value: some are secrets.
 *
 * @param flags by the names of Configuration, as the command line has parsed them; `config` is the file's path, for
 *   which SPOOL_CONFIG stands in. The file holds a JSON object with the same names
 * @throws ConfigurationError with every problem at once
 */
export function readConfiguration({
  flags = {},
  environment = process.env,
}: {
  flags?: Readonly<Partial<Record<keyof Configuration, unknown>>> & { readonly config?: string };
  environment?: Readonly<Record<string, string | undefined>>;
} = {}): Configuration {
  const problems: string[] = [];
  const file = readFile(flags.config ?? (environment["SPOOL_CONFIG"] || undefined), problems);
  const settings: Partial<Record<keyof Configuration, unknown>> = {};
  for (const name of NAMES) {
    const { variables, schema, fallback } = SETTINGS[name];
    const found = find(name, variables, { flags, environment, file });
    const parsed = found && v.safeParse(schema, found.value);
    if (parsed === undefined) settings[name] = fallback;
    else if (parsed.success) settings[name] = parsed.output;
    else problems.push(`${found!.from}: ${parsed.issues[0].message}`);
  }
  if (typeof settings.host === "string" && !isLoopback(settings.host) && settings.token === null) {
    problems.push("SPOOL_TOKEN: must be set for a SPOOL_HOST that is not loopback, where others reach the server");
  }
  if ((settings.tlsCert === null) !== (settings.tlsKey === null)) {
    problems.push("SPOOL_TLS_CERT, SPOOL_TLS_KEY: must be set both or neither");
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  return settings as Configuration;
}

function find(
  name: keyof Configuration,
  variables: readonly string[],
  sources: {
    flags: Readonly<Partial<Record<string, unknown>>>;
    environment: Readonly<Record<string, string | undefined>>;
    file: Found | undefined;
  },
): Found | undefined {
  if (sources.flags[name] !== undefined) return { from: flagName(name), value: sources.flags[name] };
  const variable = variables.find((candidate) => sources.environment[candidate]);
  if (variable !== undefined) return { from: variable, value: sources.environment[variable] };
  const members = sources.file?.value as Record<string, unknown> | undefined;
  if (members !== undefined && Object.hasOwn(members, name)) {
    return { from: `${name} in ${sources.file!.from}`, value: members[name] };
  }
  return undefined;
}

/** The file's object. What is wrong with the file is a problem like any other. */
function readFile(path: string | undefined, problems: string[]): Found | undefined {
  if (path === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("must be a JSON object");
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(SETTINGS, key) && !OF_CLIENTS.has(key))
        problems.push(`${key} in ${path}: there is no such setting`);
    }
    return { from: path, value };
  } catch (error) {
    // A parser's message quotes the text, and that may hold a secret.
    const problem = error instanceof SyntaxError ? "must be JSON" : (error as Error).message;
    problems.push(`${path}: ${problem}`);
    return undefined;
  }
}

/** `cancelGraceMs` is `--cancel-grace-ms`. */
function flagName(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function setting<Value>(variable: string, schema: v.GenericSchema<unknown, Value>, fallback: Value): Setting<Value> {
  return { variables: [variable], schema, fallback };
}

/** What of a configuration nobody may read, in every form in which a text could hold it. */
export function secretsOf({ token, modelApiKey, databaseUrl }: Configuration): string[] {
  const passwords = databaseUrl === null ? [] : databasePasswords(databaseUrl);
  return [token, modelApiKey, ...passwords].filter((secret) => secret !== null);
}
