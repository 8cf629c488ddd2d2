import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { readConfiguration } from "../../src/server/config/configuration.ts";
import { documentedSettings, stopMs } from "./documented-settings.ts";

const ROOT = join(import.meta.dirname, "../..");
const FOLDER = join(ROOT, "deploy/compose");

interface Service {
  image: string;
  command?: string[];
  environment?: Record<string, string>;
  secrets?: string[];
  volumes?: string[];
  ports?: string[];
  depends_on?: string[] | Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  restart: string;
  stop_grace_period?: string;
  read_only?: boolean;
}
interface Compose {
  services: Record<string, Service>;
  volumes: Record<string, object>;
  secrets: Record<string, { file: string }>;
}

const compose = read("compose.yaml") as Compose;
const services = Object.entries(compose.services);

describe("deploy/compose/compose.yaml", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "spool-compose-"));
    execFileSync(join(FOLDER, "make-secrets.sh"), [join(folder, "secrets")]);
  });
  after(() => rmSync(folder, { recursive: true }));

  it("uses the image of this version by default", () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
    for (const name of ["spool", "migrate"]) {
      assert.equal(compose.services[name]!.image, `\${SPOOL_IMAGE:-spool:${version}}`);
    }
  });

  it("mounts only files of the repository and volumes that it declares", () => {
    const mounts = services.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(":")[0]!));
    const files = mounts.filter((source) => source.startsWith("."));
    assert.ok(files.length > 0);
    assert.deepEqual(
      files.filter((file) => !existsSync(join(FOLDER, file))),
      [],
    );
    const volumes = mounts.filter((source) => !source.startsWith("."));
    assert.deepEqual(volumes.sort(), Object.keys(compose.volumes).sort());
  });

  it("uses each secret that it declares, each at a path where it is mounted, and make-secrets.sh makes them", () => {
    const used = services.flatMap(([, { secrets = [] }]) => secrets);
    assert.deepEqual([...new Set(used)].sort(), Object.keys(compose.secrets).sort());
    const files = Object.values(compose.secrets).map(({ file }) => file.replace(/^\.\/secrets\//, ""));
    assert.deepEqual(files.sort(), readdirSync(join(folder, "secrets")).sort());
    for (const [name, { secrets = [], environment = {} }] of services) {
      const named = Object.values(environment).flatMap((value) => /^\/run\/secrets\/(.+)$/.exec(value)?.[1] ?? []);
      assert.deepEqual(
        named.filter((secret) => !secrets.includes(secret)),
        [],
        name,
      );
    }
  });

  it("depends on services that exist, and waits for the health of those that have a check", () => {
    for (const [name, { depends_on = [] }] of services) {
      const others = Array.isArray(depends_on) ? depends_on : Object.keys(depends_on);
      for (const other of others) assert.ok(other in compose.services, `${name} depends on ${other}`);
      if (Array.isArray(depends_on)) continue;
      for (const [other, { condition }] of Object.entries(depends_on)) {
        if (condition === "service_healthy") assert.ok(compose.services[other]!.healthcheck, other);
      }
    }
  });

  it("restarts every service, and checks the health of every one that stays", () => {
    for (const [name, { restart, healthcheck }] of services) {
      assert.equal(restart, name === "migrate" ? "on-failure" : "unless-stopped", name);
      assert.equal(healthcheck !== undefined, name !== "migrate", name);
    }
  });

  it("publishes ports on this machine only", () => {
    const ports = services.flatMap(([, { ports = [] }]) => ports);
    assert.ok(ports.length > 0);
    assert.deepEqual(
      ports.filter((port) => !port.startsWith("127.0.0.1:")),
      [],
    );
  });

  it("sets only settings that exist, to values that a server accepts together with the secrets", () => {
    const known = documentedSettings();
    const environment = withDefaults(compose.services["spool"]!.environment!);
    assert.deepEqual(
      Object.keys(environment).filter((name) => !known.has(name)),
      [],
    );
    const settings = { ...environment, SPOOL_HOST: "0.0.0.0", SPOOL_CONFIG: join(folder, "secrets/spool.json") };
    const { token, databaseUrl, migrate } = readConfiguration({ environment: settings });
    assert.equal(token, secret("spool-token"));
    assert.equal(databaseUrl, `postgres://spool:${secret("postgres-password")}@postgres:5432/spool`);
    assert.equal(migrate, false);
  });

  it("gives a server the time that it may take to stop", () => {
    const environment = withDefaults(compose.services["spool"]!.environment!);
    const [, seconds] = /^\$\{SPOOL_STOP_GRACE:-(\d+)s\}$/.exec(compose.services["spool"]!.stop_grace_period!)!;
    const configuration = readConfiguration({ environment: { ...environment, SPOOL_CONFIG: "" } });
    assert.ok(Number(seconds) * 1_000 >= stopMs(configuration));
  });

  it("runs the health check and commands of the image, with a read-only root", () => {
    const dockerfile = readFileSync(join(ROOT, "deploy/image/Dockerfile"), "utf8");
    const { test } = compose.services["spool"]!.healthcheck!;
    assert.ok(dockerfile.includes(`CMD ${JSON.stringify(test.slice(1)).replaceAll(",", ", ")}`));
    for (const name of ["spool", "migrate"]) assert.equal(compose.services[name]!.read_only, true);
  });

  it("has secrets that only their owner can reach, and keeps them on a second run", () => {
    const before = secret("postgres-password");
    assert.match(before, /^[0-9a-f]{48}$/);
    assert.equal(statSync(join(folder, "secrets")).mode & 0o777, 0o700);
    execFileSync(join(FOLDER, "make-secrets.sh"), [join(folder, "secrets")]);
    assert.equal(secret("postgres-password"), before);
  });

  const secret = (name: string) => readFileSync(join(folder, "secrets", name), "utf8");
});

describe("the configuration of Prometheus and Grafana beside it", () => {
  it("scrapes every replica of the service with the token that it mounts, and loads the alarms that it mounts", () => {
    const { rule_files, scrape_configs } = read("prometheus.yaml") as {
      rule_files: string[];
      scrape_configs: {
        authorization: { credentials_file: string };
        dns_sd_configs: { names: string[]; port: number }[];
      }[];
    };
    const { secrets, volumes } = compose.services["prometheus"]!;
    for (const file of rule_files) assert.ok(volumes!.some((volume) => volume === `../../docs/alerts.yaml:${file}:ro`));
    const { authorization, dns_sd_configs } = scrape_configs[0]!;
    assert.deepEqual(
      [authorization.credentials_file],
      secrets!.map((name) => `/run/secrets/${name}`),
    );
    assert.deepEqual(
      dns_sd_configs[0]!.names.filter((name) => !(name in compose.services)),
      [],
    );
    assert.equal(dns_sd_configs[0]!.port, readConfiguration({ environment: {} }).httpPort);
  });

  it("provisions a source for the dashboard, and the folder into which the dashboard is mounted", () => {
    const { datasources } = read("grafana/datasources.yaml") as { datasources: { type: string; url: string }[] };
    assert.deepEqual(
      datasources.map(({ type, url }) => [type, new URL(url).hostname in compose.services]),
      [["prometheus", true]],
    );
    const { providers } = read("grafana/dashboards.yaml") as { providers: { options: { path: string } }[] };
    const { volumes, environment } = compose.services["grafana"]!;
    const target = `${providers[0]!.options.path}/spool.json`;
    assert.ok(volumes!.includes(`../../docs/grafana-dashboard.json:${target}:ro`));
    assert.equal(environment!["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"], target);
  });
});

function read(file: string): unknown {
  return parse(readFileSync(join(FOLDER, file), "utf8"), { merge: true });
}

/** Replaces `${NAME:-default}` by its default. */
function withDefaults(environment: Readonly<Record<string, string>>): Record<string, string> {
  const filled = Object.entries(environment).map(([name, value]) => [name, value.replace(/^\$\{\w+:-(.*)\}$/, "$1")]);
  return Object.fromEntries(filled) as Record<string, string>;
}
