import { messageOf, readOr, textsOf } from "../../domain/thrown.ts";

// What must never be in a log: it is kept out by the names of fields, by its form, and by what this server knows to be
// secret. Of an error, only what is known to be harmless is taken besides its texts: a database's may quote a row, and
// an API's the request.

const MASK = "[redacted]";
/** Stands for what throws when it is read. */
const UNREADABLE = "[unreadable]";

/** By the end of their names, fields that hold a secret. */
const SECRET_FIELD =
  /(?:authorization|cookie|token|passw(?:or)?d|secret|(?:api|private|tls)[_-]?key|database[_-]?url|connection[_-]?string)$/i;
/** What tasks are given and give: it may be anything. */
const TASK_CONTENT: ReadonlySet<string> = new Set(["params", "result", "checkpoint"]);

/** Forms that secrets have wherever they are; the groups stay. Every repetition is bounded, for texts may be hostile. */
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
  // A worker's resume token: its session's id, which is no secret, and a secret.
  [/([0-9a-f]{4}-[0-9a-f]{12}\.)[\w-]{43}/g, `$1${MASK}`],
];
/** No form is in a text without one of these: most texts of a log are ids and words. */
const MAY_HOLD_SECRET = /:\/\/|[=:]|earer|asic|sk-|-----BEGIN|\.[\w-]{43}/i;

/** A secret that is shorter is not looked for in texts: it might be any word. */
const KNOWN_CHARS_MIN = 8;
const TEXT_CHARS_MAX = 16_384;
const DEPTH_MAX = 6;
const MEMBERS_MAX = 100;

/** Of an error besides its type, texts and causes: codes and names, of Node's own errors, of Spool's, and of Postgres's. */
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

/** Keeps secrets out of what is logged. */
export interface Redaction {
  /** A text without them, and no longer than 16,384 characters. */
  text(text: string): string;
  /** What a line has, as JSON may hold it: errors with their causes, at most 6 levels deep. Never throws. */
  fields(fields: object): Record<string, unknown>;
}

/** @param secrets what this server knows to be secret, and is masked wherever it turns up */
export function redaction(secrets: readonly string[]): Redaction {
  const known = secrets.filter(({ length }) => length >= KNOWN_CHARS_MIN);

  function text(whole: string): string {
    // Cut twice: what the first cut may leave of a secret, the second takes away.
    let masked = whole.length > TEXT_CHARS_MAX ? whole.slice(0, 2 * TEXT_CHARS_MAX) : whole;
    for (const secret of known) if (masked.includes(secret)) masked = masked.replaceAll(secret, MASK);
    if (MAY_HOLD_SECRET.test(masked)) {
      for (const [form, replacement] of SECRET_FORMS) masked = masked.replace(form, replacement);
    }
    return masked.length > TEXT_CHARS_MAX ? `${masked.slice(0, TEXT_CHARS_MAX)}…` : masked;
  }

  /** Anything may be logged that code has thrown: what cannot be read is said to be so, and the rest of the line stays. */
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

/** The names of fields that were asked about, for they are few and come with every line. */
const askedNames = new Map<string, boolean>();
const ASKED_NAMES_MAX = 1_000;

function isSecret(name: string): boolean {
  let isOne = askedNames.get(name);
  if (isOne === undefined) {
    isOne = SECRET_FIELD.test(name) || TASK_CONTENT.has(name);
    if (askedNames.size < ASKED_NAMES_MAX) askedNames.set(name, isOne);
  }
  return isOne;
}
