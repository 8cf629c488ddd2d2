import * as v from "valibot";
import { patternForm, TOKEN_NAME } from "../../domain/grants.ts";
import {
  GRANT_LABELS_MAX,
  GRANT_PATTERNS_MAX,
  KIND_CHARS_MAX,
  LABEL_KEY_CHARS_MAX,
  LABEL_VALUE_CHARS_MAX,
  NAMESPACE_CHARS_MAX,
  TENANT_LIMITS,
  TOKEN_NAME_CHARS_MAX,
} from "../../domain/limits.ts";
import { ANY, SCOPES } from "../../domain/principal.ts";
import type { Grants } from "../../domain/principal.ts";
import { NO_LIMITS } from "../../domain/tenant-limits.ts";
import type { Limits, PRINCIPAL_LIMITS } from "../../domain/tenant-limits.ts";

/** A token whose digest is in the file. */
export interface FileToken {
  name: string;
  /** SHA-256, as base64url. */
  digest: string;
  grants: Grants;
  limits: Limits;
  expiresAt: Date | null;
}

/** The rights of client certificates with a name. */
export interface CertificateRule {
  /** `CN:` with a common name, or a subject alternative name with its type. May end in `*`. */
  match: string;
  /** null: the matched name. */
  name: string | null;
  grants: Grants;
  /** Of each caller. Certificates of one caller name are one caller. */
  limits: Limits;
}

/** An issuer of JSON Web Tokens. */
export interface JwtIssuer {
  issuer: string;
  audience: string;
  /** The URL of the key set, or the path of its file. */
  jwks: string;
  algorithms: readonly string[];
  /** The most that a token of the issuer may have. */
  grants: Grants;
  /** Of each subject of the issuer. */
  limits: Limits;
}

/** The callers that are configured by a file. */
export interface AccessFile {
  tokens: readonly FileToken[];
  certificates: readonly CertificateRule[];
  jwt: readonly JwtIssuer[];
}

const TOKENS_MAX = 10_000;
const CERTIFICATES_MAX = 1_000;
const ISSUERS_MAX = 100;
const TEXT_CHARS_MAX = 2_048;
/** The problems that are reported at once. */
const PROBLEMS_MAX = 20;

/** Algorithms with a public key. The key of another algorithm, such as HS256, could also make tokens. */
const ALGORITHMS = "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519".split(" ");

/**
 * Reads an access file: JSON, which docs/callers.md describes.
 *
 * @throws Error with all problems, each with its path in the file and the bound. No problem quotes a value
 */
export function parseAccessFile(text: string): AccessFile {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error("must be JSON"); // The parser's message quotes the text.
  }
  if (Array.isArray(json)) throw new Error("the file: must be an object");
  const parsed = v.safeParse(FILE, json);
  if (parsed.success) return parsed.output;
  const problems = parsed.issues.map((issue) => `${v.getDotPath(issue) ?? "the file"}: ${issue.message}`);
  throw new Error([...new Set(problems)].slice(0, PROBLEMS_MAX).join("; "));
}

function patterns(charsMax: number) {
  const what = `must be 1 to ${charsMax} characters of [A-Za-z0-9._-], the last of which may be *`;
  return list(v.pipe(v.string(what), v.regex(patternForm(charsMax), what)), GRANT_PATTERNS_MAX);
}

/** At least one entry. */
function list<Schema extends v.GenericSchema>(entry: Schema, max: number) {
  const message = `must be a list of 1 to ${max.toLocaleString("en-US")} entries`;
  return v.pipe(v.array(entry, message), v.minLength(1, message), v.maxLength(max, message));
}

/** Entries that differ in a key. */
function distinct<Schema extends v.GenericSchema>(
  entry: Schema,
  { max, by, keyOf }: { max: number; by: string; keyOf: (value: v.InferOutput<Schema>) => string },
) {
  const message = `must be a list of at most ${max.toLocaleString("en-US")} entries`;
  return v.optional(
    v.pipe(
      v.array(entry, message),
      v.maxLength(max, message),
      v.check(
        (values) => new Set(values.map(keyOf)).size === values.length,
        `must not have two entries with one ${by}`,
      ),
    ),
    [],
  );
}

function record<Entries extends v.ObjectEntries>(entries: Entries) {
  return v.strictObject(entries, ({ expected, received }) => {
    if (expected === "never") return `is unknown; known are ${Object.keys(entries).join(", ")}`;
    return received === "undefined" ? "is required" : "must be an object";
  });
}

function text(form: RegExp, what: string) {
  return v.pipe(v.string(`must be ${what}`), v.regex(form, `must be ${what}`));
}

const SOME_TEXT = text(new RegExp(`^.{1,${TEXT_CHARS_MAX}}$`), `1 to ${TEXT_CHARS_MAX} characters`);
const LABELS = `must be an object of at most ${GRANT_LABELS_MAX} labels`;

const GRANTS = v.pipe(
  record({
    namespaces: patterns(NAMESPACE_CHARS_MAX),
    scopes: list(v.picklist(SCOPES, `must be one of ${SCOPES.join(", ")}`), SCOPES.length),
    kinds: v.optional(patterns(KIND_CHARS_MAX), [ANY]),
    labels: v.optional(
      v.pipe(
        v.record(
          text(
            new RegExp(`^[A-Za-z0-9._/-]{1,${LABEL_KEY_CHARS_MAX}}$`),
            `1 to ${LABEL_KEY_CHARS_MAX} characters of [A-Za-z0-9._/-]`,
          ),
          text(
            new RegExp(`^.{0,${LABEL_VALUE_CHARS_MAX}}$`, "u"),
            `a text of at most ${LABEL_VALUE_CHARS_MAX} characters`,
          ),
          LABELS,
        ),
        v.check((labels) => Object.keys(labels).length <= GRANT_LABELS_MAX, LABELS),
      ),
      {},
    ),
  }),
  v.transform((grants): Grants => ({ ...grants, taskId: null })),
);

function limit(name: (typeof PRINCIPAL_LIMITS)[number]) {
  const [min, max] = TENANT_LIMITS[name];
  const isWhole = min >= 1;
  const bounds = [min, max].map((bound) => bound.toLocaleString("en-US")).join(" to ");
  const what = `must be a ${isWhole ? "whole number" : "number"} of ${bounds}`;
  const isInBounds = (value: number) => value >= min && value <= max && (!isWhole || Number.isInteger(value));
  return v.exactOptional(v.pipe(v.number(what), v.check(isInBounds, what)));
}

const LIMITS = v.optional(
  record({
    startsPerSecond: limit("startsPerSecond"),
    streams: limit("streams"),
    pendingTasks: limit("pendingTasks"),
    paramsBytes: limit("paramsBytes"),
  } satisfies Record<(typeof PRINCIPAL_LIMITS)[number], unknown>),
  NO_LIMITS,
);

const NAME = text(TOKEN_NAME, `1 to ${TOKEN_NAME_CHARS_MAX} characters of [A-Za-z0-9._@/-]`);

const TOKEN = v.pipe(
  record({
    name: NAME,
    sha256: text(/^[0-9a-fA-F]{64}$/, "the SHA-256 of the token, as 64 hexadecimal digits"),
    grants: GRANTS,
    limits: LIMITS,
    expiresAt: v.optional(
      v.pipe(v.string("must be a time"), v.isoTimestamp("must be a time, such as 2027-01-31T08:00:00Z")),
    ),
  }),
  v.transform(({ sha256, expiresAt, ...token }): FileToken => ({
    ...token,
    digest: Buffer.from(sha256, "hex").toString("base64url"),
    expiresAt: expiresAt === undefined ? null : new Date(expiresAt),
  })),
);

const CERTIFICATE = v.pipe(
  record({
    match: text(
      new RegExp(`^(?:URI|DNS|CN|email):.{1,${TEXT_CHARS_MAX}}$`),
      "URI:, DNS:, email: or CN: and a name, the last character of which may be *",
    ),
    name: v.optional(NAME),
    grants: GRANTS,
    limits: LIMITS,
  }),
  v.transform((rule): CertificateRule => ({ ...rule, name: rule.name ?? null })),
);

const JWT = record({
  issuer: SOME_TEXT,
  audience: SOME_TEXT,
  jwks: SOME_TEXT,
  algorithms: v.optional(list(v.picklist(ALGORITHMS, `must be one of ${ALGORITHMS.join(", ")}`), ALGORITHMS.length), [
    ...ALGORITHMS,
  ]),
  grants: GRANTS,
  limits: LIMITS,
});

const FILE = record({
  tokens: distinct(TOKEN, { max: TOKENS_MAX, by: "sha256", keyOf: ({ digest }) => digest }),
  certificates: distinct(CERTIFICATE, { max: CERTIFICATES_MAX, by: "match", keyOf: ({ match }) => match }),
  jwt: distinct(JWT, {
    max: ISSUERS_MAX,
    by: "issuer and audience",
    keyOf: ({ issuer, audience }) => JSON.stringify([issuer, audience]),
  }),
});
