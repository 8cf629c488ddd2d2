import { InvalidDatabaseUrl, NAMELESS, parseDatabaseUrl } from "./database-address.ts";
import type { ServerRole } from "./session-check.ts";

// The driver also accepts a URL without a host, whose query names an address or the folder of a socket:
// `postgres://user:password@/db?host=/run/postgresql`. The class URL rejects such a URL if it has a user.

function parse(url: string): URL | null {
  return URL.parse(url) ?? URL.parse(url.replace("@/", "@localhost/"));
}

/**
 * Returns what is wrong with a URL, without quoting the URL; null if it is valid.
 *
 * @param role what the URL is for; null: unknown
 */
export function databaseUrlProblem(text: string, role: ServerRole | null = "primary"): string | null {
  try {
    parseDatabaseUrl(text, { role });
    return null;
  } catch (error) {
    if (error instanceof InvalidDatabaseUrl) return error.message;
    throw error;
  }
}

/** Returns the hosts, the database and the schema of a URL, without user and password. Never throws. */
export function databasePlace(url: string): string {
  if (databaseUrlProblem(url, null) !== null) return NAMELESS;
  const { endpoints, path, schema } = parseDatabaseUrl(url, { role: null });
  const labels = endpoints.map(({ label }) => label);
  const inSchema = schema === null ? "" : `, schema ${schema}`;
  return labels[0] === NAMELESS ? NAMELESS : `${labels.join(",")}${path}${inSchema}`;
}

/** Returns the passwords in a URL, both percent-encoded and decoded. */
export function databasePasswords(url: string): string[] {
  // A URL parser rejects several hosts. The password is the same for all of them, so the URL of the first host serves.
  const isSound = databaseUrlProblem(url, null) === null;
  const parsed = parse(isSound ? parseDatabaseUrl(url, { role: null }).endpoints[0]!.url : url);
  const { password = "" } = parsed ?? {};
  return [password, decoded(password), parsed?.searchParams.get("password") ?? ""].filter((text) => text !== "");
}

/** Decodes a password. Returns the text unchanged if its encoding is invalid. */
function decoded(password: string): string {
  try {
    return decodeURIComponent(password);
  } catch {
    return password;
  }
}
