import { messageOf, readOr, textsOf } from "../../domain/thrown.ts";

// Masks secrets in log lines: by the names of fields, by their form, and by the known secrets of this server. Of an error,
// only texts and harmless fields are logged: a database error may quote a row, and an API error may quote the request.

const MASK = "[redacted]";
/** Replaces a value that throws when it is read. */
const UNREADABLE = "[unreadable]";

/** The endings of field names that contain a secret. */
const SECRET_FIELD =
  /(?:authorization|cookie|token|passw(?:or)?d|secret|(?:api|private|tls)[_-]?key|database[_-]?url|connection[_-]?string)$/i;
/** Fields with content of tasks, which may be confidential. */
const TASK_CONTENT: ReadonlySet<string> = new Set(["params", "result", "checkpoint"]);

/** Patterns of secrets in texts. The groups are kept. Every repetition is bounded, because texts may be hostile. */
const SECRET_FORMS: readonly [form: RegExp, masked: string][] = [
  [/(:\/\/)(?:[^\s/:@"']{0,256}:[^\s"']{0,512}|[^\s/@"']{1,512})@/g, `$1${MASK}@`],
  [/\b((?:authorization|cookie|api-key)\\{0,2}["']? ?: ?\[?\\{0,2}["']?)[^\n"'\\]{1,4096}/gi, `$1${MASK}`],
  [/\b(Bearer(?: |\t|\\t){1,64})[^\s"',;]{1,4096}/g, `$1${MASK}`],
  [/\b((?:bearer|basic) +)[\w.~+/=-]{8,4096}/gi, `$1${MASK}`],
  [
    /((?:passw(?:or)?d|secret|token|api[_-]?key)(?:["']? ?= ?|\\{0,2}["'] ?: ?)\\{0,2}["']?)[^\s"'&,;\\]{1,4096}/gi,
    `$1${MASK}`,
  ],
  [/\b(sk-)[\w-]{16,256}/g, `$1${MASK}`],
  [/-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[^]{0,16384}?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|$)/g, MASK],
  // The tokens of callers and of single tasks, and JSON Web Tokens.
  [/\b(spool_)(?:task_eyJ[\w-]{8,4096}\.[\w-]{2,8192}\.[\w-]{0,1024}|[\w-]{43})/g, `$1${MASK}`],
  [/\b(eyJ)[\w-]{8,4096}\.[\w-]{2,8192}\.[\w-]{0,1024}/g, `$1${MASK}`],
  // A worker's resume token: the session id, which is not secret, and a secret.
  [/([0-9a-f]{4}-[0-9a-f]{12}\.)[\w-]{43}/g, `$1${MASK}`],
];
/** A text without a match here contains none of the patterns. Most texts in a log are ids and words. */
const MAY_HOLD_SECRET = /:\/\/|[=:]|earer|asic|sk-|spool_|eyJ|-----BEGIN|\.[\w-]{43}/i;

/** Shorter secrets are not masked in texts: they could be any word. */
const KNOWN_CHARS_MIN = 8;
const TEXT_CHARS_MAX = 16_384;
const DEPTH_MAX = 6;
const MEMBERS_MAX = 100;

/** The fields of an error that are logged besides its type, texts and causes: those of Node, Spool and Postgres. */
const ERROR_FIELDS = [
  "code",
  "errno",
  "syscall",
  "address",
  "port",
  "hostname",
  "reason",
  "status",
  "severity",
  "schema",
  "table",
  "column",
  "constraint",
  "routine",
] as const;

/** Masks secrets in what is logged. */
export interface Redaction {
  /** Masks the secrets of a text and cuts it at 16,384 characters. */
  text(text: string): string;
  /** Converts the fields of a line to JSON values: errors with their causes, at most 6 levels deep. Never throws. */
  fields(fields: object): Record<string, unknown>;
}

/** Creates a redaction. @param secrets known secrets, which are masked everywhere */
export function redaction(secrets: readonly string[]): Redaction {
  const known = secrets.filter(({ length }) => length >= KNOWN_CHARS_MIN);

  function text(whole: string): string {
    // Cut twice: the second cut removes a secret that the first cut has split.
    let masked = whole.length > TEXT_CHARS_MAX ? whole.slice(0, 2 * TEXT_CHARS_MAX) : whole;
    for (const secret of known) if (masked.includes(secret)) masked = masked.replaceAll(secret, MASK);
    if (MAY_HOLD_SECRET.test(masked)) {
      for (const [form, replacement] of SECRET_FORMS) masked = masked.replace(form, replacement);
    }
    return masked.length > TEXT_CHARS_MAX ? `${masked.slice(0, TEXT_CHARS_MAX)}…` : masked;
  }

  /** Converts a value. Code may throw and log anything, so a value that cannot be read is replaced. */
  function value(of: unknown, depth: number): unknown {
    return readOr(() => readable(of, depth), UNREADABLE);
  }

  function readable(of: unknown, depth: number): unknown {
    if (typeof of === "string") return text(of);
    if (typeof of === "bigint") return String(of);
    if (typeof of !== "object" || of === null) return of;
    if (depth >= DEPTH_MAX) return "[deeper]";
    if (of instanceof Error) return error(of, depth);
    if (ArrayBuffer.isView(of)) return `[${of.byteLength} bytes]`;
    if ("toJSON" in of && typeof of.toJSON === "function") return value(of.toJSON(), depth + 1);
    if (Array.isArray(of)) return of.slice(0, MEMBERS_MAX).map((member) => value(member, depth + 1));
    return members(of, depth);
  }

  function members(of: object, depth: number): Record<string, unknown> {
    const masked: Record<string, unknown> = {};
    let left = MEMBERS_MAX;
    for (const [name, member] of Object.entries(of)) {
      if (left-- === 0) break;
      masked[name] = isSecret(name) && member != null ? MASK : value(member, depth + 1);
    }
    return masked;
  }

  function error(of: Error, depth: number): Record<string, unknown> {
    const own = of as unknown as Record<string, unknown>;
    const read = (field: string) => readOr(() => own[field], UNREADABLE);
    const { name, message, stack = "" } = textsOf(of);
    const masked: Record<string, unknown> = {
      type: text(readOr(() => String(of.constructor?.name || name), name)),
      message: text(message),
      stack: text(stack),
    };
    for (const field of ERROR_FIELDS) {
      const found = read(field);
      if (found !== undefined) masked[field] = value(found, depth + 1);
    }
    const cause = read("cause");
    if (cause !== undefined) masked["cause"] = value(cause, depth + 1);
    if (of instanceof AggregateError) masked["errors"] = value(read("errors"), depth + 1);
    return masked;
  }

  return {
    text,
    fields(fields) {
      try {
        return members(fields, 0);
      } catch (thrown) {
        return { unreadable: text(messageOf(thrown)) };
      }
    },
  };
}

/** Caches the result by field name: names are few and repeat in every line. */
const secretNames = new Map<string, boolean>();
const SECRET_NAMES_MAX = 1_000;

function isSecret(name: string): boolean {
  let isOne = secretNames.get(name);
  if (isOne === undefined) {
    isOne = SECRET_FIELD.test(name) || TASK_CONTENT.has(name);
    if (secretNames.size < SECRET_NAMES_MAX) secretNames.set(name, isOne);
  }
  return isOne;
}
