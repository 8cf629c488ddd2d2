import type { ServerRole } from "./session-check.ts";

/** The values of libpq's sslmode, and `no-verify` of node-pg. */
export const TLS_MODES = ["disable", "allow", "prefer", "require", "no-verify", "verify-ca", "verify-full"] as const;
export type TlsMode = (typeof TLS_MODES)[number];

export interface TlsSettings {
  mode: TlsMode;
  /** PEM file of the root certificates; null: those that Node trusts. */
  rootCert: string | null;
  /** PEM files of the client's certificate and key; null: none. */
  cert: string | null;
  key: string | null;
  /** Whether the TLS handshake begins at once (`sslnegotiation=direct`). */
  isDirect: boolean;
}

/** One host of a URL. */
export interface Endpoint {
  /** For messages, as in the URL: `host:port`, or `host`. */
  label: string;
  /** For the driver: this host alone, without the TLS parameters. */
  url: string;
}

/** The parts of a database URL. */
export interface DatabaseAddress {
  /** At least one, in the order of the URL. */
  endpoints: readonly Endpoint[];
  /** `/database`, or empty. */
  path: string;
  /** The schema of Spool's tables, from the parameter `schema`; null: as the search_path says. */
  schema: string | null;
  tls: TlsSettings;
}

/** The label of a host that the URL does not name. */
export const NAMELESS = "the database";

/** Error for an invalid database URL. The message holds nothing that could be a secret. */
export class InvalidDatabaseUrl extends Error {
  constructor(message: string) {
    super(message);
    this.name = "InvalidDatabaseUrl";
  }
}

const URL_PARTS = /^(?<scheme>postgres(?:ql)?:\/\/)(?<authority>[^/?]*)(?<path>[^?#]*)(?:\?(?<query>.*))?$/s;
const HOST_PARTS = /^(?<host>\[[^\]]+\]|[^:[\]]*)(?::(?<port>\d*))?$/;
const PORT_MAX = 65_535;
const IN_DOUBT = "must be a URL: in a user name or password, write characters such as # and / as %23 and %2F";
const SCHEMA_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;
/** The role of a URL says where Spool connects to, so all these values of a role mean the same. */
const SESSION_ATTRIBUTES = {
  primary: ["any", "read-write", "primary"],
  standby: ["any", "read-only", "standby", "prefer-standby"],
} as const satisfies Record<ServerRole, string[]>;

/**
 * Parses a URL as libpq does, with one or several hosts (`postgres://user@one:5432,two:5432/db`). sslmode has libpq's
 * meanings. Its default is the environment variable PGSSLMODE, then `disable`. The parameter `schema` is Spool's own.
 *
 * @param options.role what the URL is for; null: unknown
 * @throws InvalidDatabaseUrl
 */
export function parseDatabaseUrl(
  url: string,
  { role = "primary", environment = process.env }: { role?: ServerRole | null; environment?: NodeJS.ProcessEnv } = {},
): DatabaseAddress {
  const { scheme, authority, path, query } = URL_PARTS.exec(url)?.groups ?? {};
  if (authority === undefined || path === undefined || authority.includes("#")) throw new InvalidDatabaseUrl(IN_DOUBT);
  const parameters = new URLSearchParams(query);
  const take = (name: string) => {
    const value = parameters.get(name);
    parameters.delete(name);
    return value === "" ? null : value;
  };
  const tls = takeTls(take, environment);
  const attributes = role === null ? Object.values(SESSION_ATTRIBUTES).flat() : SESSION_ATTRIBUTES[role];
  requireOneOf("target_session_attrs", take("target_session_attrs") ?? "any", attributes);
  requireOneOf("load_balance_hosts", take("load_balance_hosts") ?? "disable", ["disable"]);
  const schema = take("schema");
  if (schema !== null && !SCHEMA_NAME.test(schema))
    throw new InvalidDatabaseUrl("schema: must be 1 to 63 of letters, digits and _, and begin with no digit");
  const at = authority.lastIndexOf("@") + 1;
  const [user, hosts] = [authority.slice(0, at), authority.slice(at)];
  const [namedHosts, namedPorts] = [take("host"), take("port")];
  const toUrl = (host: string, extra: Record<string, string>) => {
    const all = new URLSearchParams([...parameters, ...Object.entries(extra)]).toString();
    const endpointUrl = `${scheme}${user}${host}${path}${all === "" ? "" : `?${all}`}`;
    if (!URL.canParse(endpointUrl.replace("@/", "@localhost/"))) throw new InvalidDatabaseUrl(IN_DOUBT);
    return endpointUrl;
  };
  if (namedHosts === null) {
    const ports = portsOf(namedPorts, hosts.split(",").length);
    const endpoints = hosts.split(",").map((text, index) => {
      const { host, port } = HOST_PARTS.exec(text)?.groups ?? {};
      if (host === undefined || !isPort(port)) throw new InvalidDatabaseUrl(IN_DOUBT);
      const label = host === "" ? NAMELESS : labelOf(host, port || ports[index]);
      return { label, url: toUrl(text, ports[index] ? { port: ports[index] } : {}) };
    });
    return { endpoints, path, schema, tls };
  }
  const names = namedHosts.split(",");
  const ports = portsOf(namedPorts, names.length);
  const endpoints = names.map((host, index) => {
    const port = ports[index];
    return { label: labelOf(host, port), url: toUrl("", { host, ...(port && { port }) }) };
  });
  return { endpoints, path, schema, tls };
}

function labelOf(host: string, port: string | undefined): string {
  return port ? `${host}:${port}` : host;
}

function takeTls(take: (name: string) => string | null, environment: Readonly<NodeJS.ProcessEnv>): TlsSettings {
  const mode = take("sslmode") ?? modeOfSwitch(take("ssl")) ?? (environment["PGSSLMODE"] || "disable");
  requireOneOf("sslmode", mode, TLS_MODES);
  const root = take("sslrootcert");
  const [cert, key, negotiation] = [take("sslcert"), take("sslkey"), take("sslnegotiation")];
  take("ssl");
  take("uselibpqcompat"); // A parameter of node-pg. sslmode always has libpq's meaning here.
  requireOneOf("sslnegotiation", negotiation ?? "postgres", ["postgres", "direct"]);
  if ((cert === null) !== (key === null)) throw new InvalidDatabaseUrl("sslcert, sslkey: set both or neither");
  const isDirect = negotiation === "direct";
  if (isDirect && ["disable", "allow", "prefer"].includes(mode))
    throw new InvalidDatabaseUrl("sslnegotiation=direct needs sslmode=require, verify-ca or verify-full");
  return { mode: mode as TlsMode, rootCert: root === "system" ? null : root, cert, key, isDirect };
}

/** Returns the sslmode for node-pg's parameter `ssl`. */
function modeOfSwitch(value: string | null): string | null {
  if (value === null || value === "no-verify") return value;
  return value === "0" || value === "false" ? "disable" : "verify-full";
}

/** Returns the port of each host. The list has one port for all hosts, or one for each. */
function portsOf(list: string | null, hosts: number): string[] {
  if (list === null) return [];
  const ports = list.split(",");
  if (!ports.every(isPort) || (ports.length !== 1 && ports.length !== hosts))
    throw new InvalidDatabaseUrl("port: must be one port, or one for each host");
  return ports.length === 1 ? Array<string>(hosts).fill(ports[0]!) : ports;
}

function isPort(text: string | undefined): boolean {
  return text === undefined || text === "" || (/^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= PORT_MAX);
}

function requireOneOf(name: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) throw new InvalidDatabaseUrl(`${name}: must be one of ${allowed.join(", ")}`);
}
