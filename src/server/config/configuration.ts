import { readFileSync } from "node:fs";
import * as v from "valibot";
import {
  AUDIT_RETENTION_MS_DEFAULT,
  CRASHES_DEFAULT,
  CRASHES_MAX,
  PACK_AFTER_MS_DEFAULT,
  PACK_AFTER_MS_MAX,
  RETENTION_MS_DEFAULT,
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
import { NAMESPACE_NAME } from "../../domain/namespace-name.ts";
import { databasePasswords } from "../../store/connection/database-url.ts";
import { LOG_LEVELS } from "../log/log-level.ts";
import type { LogLevel } from "../log/log-level.ts";
import { CONSOLE_SETTINGS, consoleProblems, consoleSecrets } from "./console-settings.ts";
import type { ConsoleSettings } from "./console-settings.ts";
import { contradictions } from "./contradictions.ts";
import { retention, retentionByKind } from "./retention-values.ts";
import { setting } from "./setting.ts";
import type { Setting } from "./setting.ts";
import { databaseUrl, durationOr, flag, host, integer, origins, path, portOrOff, text } from "./setting-values.ts";

/** The settings of a server, with defaults filled in. Durations are in milliseconds. */
export interface Configuration extends ConsoleSettings {
  host: string;
  /** gRPC port. 0: any free port. */
  port: number;
  /** HTTP port. 0: any free port; null: no HTTP listener. */
  httpPort: number | null;
  /** Origins whose pages may call the HTTP endpoint, besides its own pages. */
  httpOrigins: readonly string[];
  /** PEM files, both or neither. With them the endpoints use TLS. */
  tlsCert: string | null;
  tlsKey: string | null;
  /** A PEM file with the authorities of client certificates. null: clients are not asked for one. */
  tlsClientCa: string | null;
  /** Whether connections without a client certificate are refused. */
  tlsClientAuth: "optional" | "require";
  /** A token with all rights. null: there is none. See `requiresCredential`. */
  token: string | null;
  /** A JSON file with tokens, client certificates and issuers of JSON Web Tokens. null: there is none. */
  accessFile: string | null;
  /** null: Postgres runs in process, with its files in dataDir. */
  databaseUrl: string | null;
  /** A standby of the database, which serves reads of what has ended, lists and counts. null: there is none. */
  standbyUrl: string | null;
  dataDir: string;
  namespace: string;
  /** How many tasks the server runs at once. */
  slots: number;
  cancelGraceMs: number;
  leaseMs: number;
  drainMs: number;
  /** How many attempts of a task in a row may crash their process before the task fails. */
  crashesMax: number;
  /** How long a task is kept after its end. null: forever. */
  retention: number | null;
  /** The same for the tasks of single kinds. */
  retentionByKind: ReadonlyMap<string, number | null>;
  /** The folder that tasks are exported to before their retention removes them. null: they are not exported. */
  retentionExport: string | null;
  /** How long acts stay in the audit log. null: forever. */
  auditRetention: number | null;
  /** How long after its end a tape is packed. null: never. */
  packAfter: number | null;
  /** How many KiB a stream buffers ahead of its reader before it waits: the memory cost of a stopped reader. */
  writeAheadKib: number;
  /** How many streams an HTTP/2 connection may cancel at once before it is closed. Refilled by a tenth each second. */
  streamResetBurst: number;
  /** How many calls and streams may be open at once on one connection, at each port. */
  streamsPerConnection: number;
  /** How many of them may be streams over many tasks. */
  followsPerConnection: number;
  /** How many expensive reads of one connection may wait for their turn, of each sort. */
  waitingReads: number;
  /** How long a request at the HTTP port may take to arrive. */
  requestTimeoutMs: number;
  /** The folder that kinds may read files below. */
  sourcesDir: string;
  modelBaseUrl: string | null;
  modelApiKey: string | null;
  model: string | null;
  /** Whether servers notify each other of commits by NOTIFY. Without it they poll once a second. */
  notify: boolean;
  /** What to do with a start whose kind no server or worker runs. */
  unknownKinds: "wait" | "refuse";
  /** Whether to migrate the database to this version's schema at start. */
  migrate: boolean;
  /** Whether metrics are collected. */
  metrics: boolean;
  logLevel: LogLevel;
  /** `auto`: pretty if stderr is a terminal, otherwise json. */
  logFormat: "auto" | "json" | "pretty";
}

/** All errors of a configuration. The command line exits with code 2. */
export class ConfigurationError extends Error {
  /** One problem for each setting, which is named as it was set: flag, variable or file. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ConfigurationError";
    this.problems = problems;
  }
}

const LOG_FORMATS = ["auto", "json", "pretty"] as const;

const CLIENT_AUTH = ["optional", "require"] as const;
const UNKNOWN_KINDS = ["wait", "refuse"] as const;

const SETTINGS: { readonly [Name in keyof Configuration]: Setting<Configuration[Name]> } = {
  host: setting("SPOOL_HOST", host(), "127.0.0.1"),
  port: setting("SPOOL_PORT", integer(0, 65_535), 50_051),
  httpPort: setting("SPOOL_HTTP_PORT", portOrOff(), 8_080),
  httpOrigins: setting("SPOOL_HTTP_ORIGINS", origins(), []),
  tlsCert: setting("SPOOL_TLS_CERT", path(), null),
  tlsKey: setting("SPOOL_TLS_KEY", path(), null),
  tlsClientCa: setting("SPOOL_TLS_CLIENT_CA", path(), null),
  tlsClientAuth: setting("SPOOL_TLS_CLIENT_AUTH", v.picklist(CLIENT_AUTH, "must be optional or require"), "optional"),
  accessFile: setting("SPOOL_ACCESS_FILE", path(), null),
  // The token is sent in a header: no spaces, nothing that needs quoting.
  token: setting("SPOOL_TOKEN", text(/^[\x21-\x7e]{1,4096}$/, "1 to 4,096 visible ASCII characters"), null),
  databaseUrl: {
    variables: ["SPOOL_DATABASE_URL", "DATABASE_URL"],
    schema: databaseUrl("primary"),
    fallback: null,
  },
  standbyUrl: setting("SPOOL_STANDBY_URL", databaseUrl("standby"), null),
  dataDir: setting("SPOOL_DATA_DIR", path(), "./.spool"),
  namespace: setting("SPOOL_NAMESPACE", text(NAMESPACE_NAME, "1 to 63 of [A-Za-z0-9._-]"), "default"),
  slots: setting("SPOOL_SLOTS", integer(1, 10_000), 64),
  cancelGraceMs: setting("SPOOL_CANCEL_GRACE_MS", integer(0, 3_600_000), 5_000),
  leaseMs: setting("SPOOL_LEASE_MS", integer(1_000, 600_000), 10_000),
  drainMs: setting("SPOOL_DRAIN_MS", integer(0, 3_600_000), 5_000),
  crashesMax: setting("SPOOL_CRASHES_MAX", integer(1, CRASHES_MAX), CRASHES_DEFAULT),
  retention: setting("SPOOL_RETENTION", retention(), RETENTION_MS_DEFAULT),
  retentionByKind: setting("SPOOL_RETENTION_BY_KIND", retentionByKind(), new Map()),
  retentionExport: setting("SPOOL_RETENTION_EXPORT", path(), null),
  auditRetention: setting("SPOOL_AUDIT_RETENTION", retention(), AUDIT_RETENTION_MS_DEFAULT),
  packAfter: setting(
    "SPOOL_PACK_AFTER",
    durationOr("never", { minMs: 0, maxMs: PACK_AFTER_MS_MAX, bounds: "0 to 365d" }),
    PACK_AFTER_MS_DEFAULT,
  ),
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
  ...CONSOLE_SETTINGS,
};

/** Settings of the client commands, which the same file may contain. */
const CLIENT_SETTINGS: ReadonlySet<string> = new Set(["address"]);

const NAMES = Object.keys(SETTINGS) as (keyof Configuration)[];

/** A value and the flag, variable or file that set it. */
interface Found {
  from: string;
  value: unknown;
}

/**
 * Reads the configuration. Precedence: flag, environment variable, config file, default. An empty variable counts as
 * unset. Error texts never contain values, because some are secrets.
 *
 * @param flags the parsed flags, by the names of Configuration. `config` is the path of the config file (or
 *   SPOOL_CONFIG), a JSON object with the same names
 * @throws ConfigurationError with all problems together
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
  const valid = settings as Partial<Configuration>;
  problems.push(...contradictions(valid), ...consoleProblems(valid));
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

/** Reads the object of the config file. Errors of the file are added to `problems`. */
function readFile(path: string | undefined, problems: string[]): Found | undefined {
  if (path === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("must be a JSON object");
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(SETTINGS, key) && !CLIENT_SETTINGS.has(key))
        problems.push(`${key} in ${path}: unknown setting`);
    }
    return { from: path, value };
  } catch (error) {
    // The parser's message quotes the text, which may contain a secret.
    const problem = error instanceof SyntaxError ? "must be JSON" : (error as Error).message;
    problems.push(`${path}: ${problem}`);
    return undefined;
  }
}

/** Returns the flag of a setting: `cancelGraceMs` is `--cancel-grace-ms`. */
function flagName(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Returns the secrets of a configuration, in every form in which a text could contain them. */
export function secretsOf(configuration: Configuration): string[] {
  const { token, modelApiKey } = configuration;
  const urls = [configuration.databaseUrl, configuration.standbyUrl].filter((url) => url !== null);
  const passwords = urls.flatMap(databasePasswords);
  return [token, modelApiKey, ...consoleSecrets(configuration), ...passwords].filter((secret) => secret !== null);
}
