import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { parseManifests, typeProblems } from "../deploy/manifests.ts";
import type { Manifest } from "../deploy/manifests.ts";
import { promtool } from "./support/promtool.ts";

const DEPLOY = join(import.meta.dirname, "../../deploy");
const COMPILE_MS = 60_000;

describe("deploy/compose beside Docker Compose and Prometheus", () => {
  it("is a file that Compose accepts", () => {
    const config = run("docker-compose", ["--file", join(DEPLOY, "compose/compose.yaml"), "config"]);
    const { services } = parse(config) as { services: Record<string, { read_only?: boolean; command?: string[] }> };
    assert.deepEqual(Object.keys(services).sort(), ["grafana", "migrate", "postgres", "prometheus", "spool"]);
    assert.deepEqual([services["migrate"]!.read_only, services["migrate"]!.command], [true, ["migrate"]]);
  });

  it("has a configuration of Prometheus that promtool accepts", () => {
    promtool(["check", "config", "--syntax-only", join(DEPLOY, "compose/prometheus.yaml")]);
  });
});

describe("deploy/kubernetes, rendered by kubectl", () => {
  it("has only fields of Kubernetes's API, in one namespace, and the names that Kustomize gives", () => {
    const rendered = ["base", "migration"].flatMap(render);
    assert.equal(typeProblems(rendered), "");
    for (const { kind, metadata } of rendered) {
      assert.equal(kind === "Namespace" ? metadata.name : metadata.namespace, "spool", kind);
    }
    const configMap = rendered.find(({ kind }) => kind === "ConfigMap")!;
    assert.match(configMap.metadata.name, /^spool-\w+$/);
    const text = JSON.stringify(rendered.find(({ kind }) => kind === "Deployment"));
    assert.ok(text.includes(`{"configMapRef":{"name":"${configMap.metadata.name}"}}`));
    assert.match(text, /"image":"registry\.example\/spool:\d+\.\d+\.\d+"/);
  }).timeout(COMPILE_MS);

  it("renders the scrape", () => {
    assert.deepEqual(
      render("monitoring").map(({ kind, metadata }) => [kind, metadata.namespace]),
      [["ServiceMonitor", "spool"]],
    );
  });
});

function render(folder: string): Manifest[] {
  return parseManifests(run("kubectl", ["kustomize", join(DEPLOY, "kubernetes", folder)]));
}

/** Runs a program without a home, so that it reads no configuration of this machine. */
function run(program: string, args: readonly string[]): string {
  const home = mkdtempSync(join(tmpdir(), "spool-deploy-"));
  try {
    return execFileSync(program, args, { encoding: "utf8", env: { PATH: process.env["PATH"], HOME: home } });
  } finally {
    rmSync(home, { recursive: true });
  }
}
