// A database's URL as the driver takes it: also one without a host, which names an address or a socket's folder in its
// query, and which URL itself refuses where there is a user: `postgres://user:password@/db?host=/run/postgresql`.

function parse(url: string): URL | null {
  return URL.parse(url) ?? URL.parse(url.replace("@/", "@localhost/"));
}

export function isDatabaseUrl(text: string): boolean {
  return parse(text) !== null;
}

/** Where it leads, without who asks and by which password. Never throws. */
export function databasePlace(url: string): string {
  const parsed = parse(url);
  const host = parsed?.searchParams.get("host") ?? parsed?.host ?? "";
  return host === "" ? "the database" : `${host}${parsed!.pathname}`;
}

/** The passwords in it, as they are written there and as they are. */
export function databasePasswords(url: string): string[] {
  const parsed = parse(url);
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
