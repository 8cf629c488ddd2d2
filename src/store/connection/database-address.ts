/** What libpq's sslmode names, and `no-verify`, which node-pg has. */
export const TLS_MODES = ["disable", "allow", "prefer", "require", "no-verify", "verify-ca", "verify-full"] as const;
export type TlsMode = (typeof TLS_MODES)[number];

export interface TlsSettings {
  mode: TlsMode;
  /** Files in PEM; null: those that Node trusts, or none. */
  rootCert: string | null;
  cert: string | null;
  key: string | null;
  /** Whether the handshake begins at once, as `sslnegotiation=direct` has it. */
  isDirect: boolean;
}

/** One host of a URL. */
export interface Endpoint {
  /** As the URL has it, for people: `host:port`, or `host`. */
  label: string;
  /** For the driver: of this host alone, without what is said of TLS. */
  url: string;
}

/** Where a database URL leads. */
export interface DatabaseAddress {
  /** At least one, in the order of the URL. */
  endpoints: readonly Endpoint[];
  /** `/database`, or empty. */
  path: string;
  tls: TlsSettings;
}

/** How a host is called that the URL does not name. */
export const NAMELESS = "the database";

/** A URL that leads nowhere. The message holds nothing that could be a secret. */
export class InvalidDatabaseUrl extends Error {
  constructor(message: string) {
    super(message);
    this.name = "InvalidDatabaseUrl";
  }
}

const URL_PARTS = /^(?<scheme>postgres(?:ql)?:\/\/)(?<authority>[^/?]*)(?<path>[^?#]*)(?:\?(?<query>.*))?$/s;
const HOST_PARTS = /^(?<host>\[[^\]]+\]|[^:[\]]*)(?::(?<port>\d*))?$/;
const PORT_MAX = 65_535;
const IN_DOUBT = "must be a URL: in a user or a password, signs such as # and / are written as %23 and %2F";
/** Spool writes, and connects to no server that takes no writes: all of these mean the same. */
const SESSION_ATTRIBUTES = ["any", "read-write", "primary"];

/**
 * Reads a URL as libpq has it, with one host or several (`postgres://user@one:5432,two:5432/db`), and sslmode with
 * libpq's meanings; without it PGSSLMODE counts, and then `disable`.
 *
 * @throws InvalidDatabaseUrl
 */
export function parseDatabaseUrl(url: string, environment = process.env): DatabaseAddress {
  const { scheme, authority, path, query } = URL_PARTS.exec(url)?.groups ?? {};
  if (authority === undefined || path === undefined || authority.includes("#")) throw new InvalidDatabaseUrl(IN_DOUBT);
  const parameters = new URLSearchParams(query);
  const take = (name: string) => {
    const value = parameters.get(name);
    parameters.delete(name);
    return value === "" ? null : value;
  };
  const tls = takeTls(take, environment);
  requireOneOf("target_session_attrs", take("target_session_attrs") ?? "any", SESSION_ATTRIBUTES);
  requireOneOf("load_balance_hosts", take("load_balance_hosts") ?? "disable", ["disable"]);
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
    return { endpoints, path, tls };
  }
  const names = namedHosts.split(",");
  const ports = portsOf(namedPorts, names.length);
  const endpoints = names.map((host, index) => {
    const port = ports[index];
    return { label: labelOf(host, port), url: toUrl("", { host, ...(port && { port }) }) };
  });
  return { endpoints, path, tls };
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
  take("uselibpqcompat"); // node-pg's; it is always so here.
  requireOneOf("sslnegotiation", negotiation ?? "postgres", ["postgres", "direct"]);
  if ((cert === null) !== (key === null)) throw new InvalidDatabaseUrl("sslcert, sslkey: must be set both or neither");
  const isDirect = negotiation === "direct";
  if (isDirect && ["disable", "allow", "prefer"].includes(mode))
    throw new InvalidDatabaseUrl("sslnegotiation=direct needs sslmode=require, verify-ca or verify-full");
  return { mode: mode as TlsMode, rootCert: root === "system" ? null : root, cert, key, isDirect };
}

/** What node-pg calls `ssl`. */
function modeOfSwitch(value: string | null): string | null {
  if (value === null || value === "no-verify") return value;
  return value === "0" || value === "false" ? "disable" : "verify-full";
}

/** One for all hosts, or one each. */
function portsOf(list: string | null, hosts: number): string[] {
  if (list === null) return [];
  const ports = list.split(",");
  if (!ports.every(isPort) || (ports.length !== 1 && ports.length !== hosts))
    throw new InvalidDatabaseUrl("port: must be one port, or as many as there are hosts");
  return ports.length === 1 ? Array<string>(hosts).fill(ports[0]!) : ports;
}

function isPort(text: string | undefined): boolean {
  return text === undefined || text === "" || (/^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= PORT_MAX);
}

function requireOneOf(name: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) throw new InvalidDatabaseUrl(`${name}: must be one of ${allowed.join(", ")}`);
}
