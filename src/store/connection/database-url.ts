import { InvalidDatabaseUrl, NAMELESS, parseDatabaseUrl } from "./database-address.ts";

// A database's URL as the driver takes it: also one without a host, which names an address or a socket's folder in its
// query, and which URL itself refuses where there is a user: `postgres://user:password@/db?host=/run/postgresql`.

function parse(url: string): URL | null {
  return URL.parse(url) ?? URL.parse(url.replace("@/", "@localhost/"));
}

/** What is wrong with a URL, without what it holds; null where nothing is. */
export function databaseUrlProblem(text: string): string | null {
  try {
    parseDatabaseUrl(text);
    return null;
  } catch (error) {
    if (error instanceof InvalidDatabaseUrl) return error.message;
    throw error;
  }
}

/** Where it leads, without who asks and by which password. Never throws. */
export function databasePlace(url: string): string {
  if (databaseUrlProblem(url) !== null) return NAMELESS;
  const { endpoints, path } = parseDatabaseUrl(url);
  const labels = endpoints.map(({ label }) => label);
  return labels[0] === NAMELESS ? NAMELESS : `${labels.join(",")}${path}`;
}

/** The passwords in it, as they are written there and as they are. */
export function databasePasswords(url: string): string[] {
  // Of several hosts the URL is none that a parser takes, and the password is the same for all.
  const isSound = databaseUrlProblem(url) === null;
  const parsed = parse(isSound ? parseDatabaseUrl(url).endpoints[0]!.url : url);
  const { password = "" } = parsed ?? {};
  return [password, decoded(password), parsed?.searchParams.get("password") ?? ""].filter((text) => text !== "");
}

/** A password as it was before it was put into a URL. */
function decoded(password: string): string {
  try {
    return decodeURIComponent(password);
  } catch {
    return password;
  }
}
