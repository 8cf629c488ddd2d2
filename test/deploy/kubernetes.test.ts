import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Deployment } from "kubernetes-types/apps/v1.js";
import type { HorizontalPodAutoscaler } from "kubernetes-types/autoscaling/v2.js";
import type { Job } from "kubernetes-types/batch/v1.js";
import type { Container, PodSpec, Service } from "kubernetes-types/core/v1.js";
import type { NetworkPolicy } from "kubernetes-types/networking/v1.js";
import type { PodDisruptionBudget } from "kubernetes-types/policy/v1.js";
import { readConfiguration } from "../../src/server/config/configuration.ts";
import { documentedMetrics } from "../docs/documented-metrics.ts";
import { documentedSettings, stopMs } from "./documented-settings.ts";
import { readKustomization, readManifests, typeProblems } from "./manifests.ts";
import type { Manifest } from "./manifests.ts";

const ROOT = join(import.meta.dirname, "../..");
const FOLDERS = ["base", "migration", "monitoring"];
/** In the API of the Prometheus operator, whose types are not checked. */
const MONITOR = "ServiceMonitor";
const COMPILE_MS = 60_000;

const manifests = FOLDERS.flatMap(readManifests);
const deployment = find<Deployment>("Deployment", "spool");
const job = find<Job>("Job", "spool-migrate");
const pods = [deployment.spec!.template, job.spec!.template];
const [literals] = readKustomization("base").kustomization.configMapGenerator!.map(({ literals }) => literals);
const config = Object.fromEntries(literals!.map((literal) => literal.split("=") as [string, string]));

describe("deploy/kubernetes", () => {
  for (const folder of FOLDERS) {
    it(`lists every file of ${folder}, and the image of this version`, () => {
      const { kustomization, files } = readKustomization(folder);
      assert.deepEqual(kustomization.resources.toSorted(), files.toSorted());
      const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
      for (const { name, newTag } of kustomization.images ?? []) assert.deepEqual([name, newTag], ["spool", version]);
    });
  }

  it("has only fields of Kubernetes's API, with values of their types", () => {
    assert.equal(typeProblems(manifests.filter(({ kind }) => kind !== MONITOR)), "");
  }).timeout(COMPILE_MS);

  it("would not pass with an unknown field, a missing one, or a value of another type", () => {
    const broken = ["minReadySecond", "selector", "minReadySeconds"].map((field, index) => {
      const spec = { ...deployment.spec, [field]: [1, undefined, "5"][index] };
      return { ...deployment, spec } as unknown as Manifest;
    });
    const problems = typeProblems(broken);
    assert.match(problems, /'"minReadySecond"' does not exist/);
    assert.match(problems, /Property 'selector' is missing/);
    assert.match(problems, /'string' is not assignable to type 'number'/);
  }).timeout(COMPILE_MS);

  it("runs its pods without rights: another user, nothing writable, no capability, no token of Kubernetes", () => {
    const dockerfile = readFileSync(join(ROOT, "deploy/image/Dockerfile"), "utf8");
    const user = Number(/^USER (\d+):/m.exec(dockerfile)![1]);
    for (const { spec } of pods) {
      const { securityContext, automountServiceAccountToken, hostNetwork, hostPID, volumes } = spec as PodSpec;
      assert.deepEqual(securityContext, {
        runAsNonRoot: true,
        runAsUser: user,
        runAsGroup: user,
        seccompProfile: { type: "RuntimeDefault" },
      });
      assert.deepEqual([automountServiceAccountToken, hostNetwork, hostPID, volumes], [false, ...Array(3)]);
      for (const container of containersOf(spec)) {
        assert.deepEqual(container.securityContext, {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
        const { requests, limits } = container.resources!;
        assert.ok(requests!["cpu"] && requests!["memory"] && limits!["memory"]);
      }
    }
  });

  it("gets no setting from the links of services: the service `spool` would set SPOOL_PORT", () => {
    for (const { spec } of pods) assert.equal(spec!.enableServiceLinks, false);
  });

  it("sets only settings that exist, to values that a server accepts", () => {
    const known = documentedSettings();
    for (const { spec } of pods) {
      const [{ env = [], envFrom = [] }] = containersOf(spec) as [Container];
      const secrets = env.map(({ name, valueFrom }) => {
        assert.equal(valueFrom!.secretKeyRef!.name, "spool", name);
        return name;
      });
      assert.deepEqual(secrets, ["SPOOL_TOKEN", "SPOOL_DATABASE_URL"]);
      const settings = envFrom.length === 0 ? {} : config;
      for (const name of [...secrets, ...Object.keys(settings)]) assert.ok(known.has(name), name);
      readConfiguration({ environment: { SPOOL_HOST: "0.0.0.0", SPOOL_TOKEN: "x", ...settings } });
    }
    const [{ envFrom }] = containersOf(deployment.spec!.template.spec) as [Container];
    assert.deepEqual(envFrom, [{ configMapRef: { name: "spool" } }]);
  });

  it("gives a server the time that it may take to stop, after the pause before it", () => {
    const { terminationGracePeriodSeconds, containers } = deployment.spec!.template.spec!;
    const pauseMs = containers[0]!.lifecycle!.preStop!.sleep!.seconds * 1_000;
    const neededMs = pauseMs + stopMs(readConfiguration({ environment: config }));
    assert.ok(terminationGracePeriodSeconds! * 1_000 >= neededMs, `${neededMs} ms are needed`);
  });

  it("probes paths that a server answers without a token, at a port that the container has", () => {
    const [container] = containersOf(deployment.spec!.template.spec) as [Container];
    const names = container.ports!.map(({ name }) => name);
    const defaults = readConfiguration({ environment: config });
    assert.deepEqual(
      container.ports!.map(({ containerPort }) => containerPort),
      [defaults.port, defaults.httpPort],
    );
    const { startupProbe, readinessProbe, livenessProbe } = container;
    const paths = [startupProbe, readinessProbe, livenessProbe].map((probe) => {
      assert.ok(names.includes(probe!.httpGet!.port as string));
      return probe!.httpGet!.path;
    });
    assert.deepEqual(paths, ["/healthz", "/readyz", "/healthz"]);
  });

  it("selects the servers with each service, budget, spread and policy, and never the migration with a service", () => {
    const { labels } = deployment.spec!.template.metadata!;
    const selectors = [
      deployment.spec!.selector.matchLabels,
      find<PodDisruptionBudget>("PodDisruptionBudget", "spool").spec!.selector!.matchLabels,
      find<NetworkPolicy>("NetworkPolicy", "spool").spec!.podSelector.matchLabels,
      ...deployment.spec!.template.spec!.topologySpreadConstraints!.map((spread) => spread.labelSelector!.matchLabels),
      ...services().map(({ spec }) => spec!.selector),
    ];
    for (const selector of selectors) assert.ok(isPart(selector!, labels!), JSON.stringify(selector));
    for (const { spec } of services()) assert.ok(!isPart(spec!.selector!, job.spec!.template.metadata!.labels!));
    for (const { spec } of services()) {
      const names = deployment.spec!.template.spec!.containers[0]!.ports!.map(({ name }) => name);
      for (const { targetPort } of spec!.ports!) assert.ok(names.includes(targetPort as string));
    }
  });

  it("scales the deployment on a metric that servers export, at a part of the slots of one server", () => {
    const { scaleTargetRef, metrics, minReplicas } = find<HorizontalPodAutoscaler>(
      "HorizontalPodAutoscaler",
      "spool",
    ).spec!;
    assert.deepEqual([scaleTargetRef.kind, scaleTargetRef.name, minReplicas], ["Deployment", "spool", 2]);
    assert.equal(deployment.spec!.replicas, undefined, "each apply would undo what the autoscaler has done");
    const { metric, target } = metrics![0]!.pods!;
    const { labels } = documentedMetrics().get(metric.name)!;
    for (const [label, value] of Object.entries(metric.selector!.matchLabels!))
      assert.ok(labels.get(label)!.has(value));
    const { slots } = readConfiguration({ environment: config });
    assert.equal(Number(target.averageValue), 0.75 * slots);
  });

  it("scrapes one service, with the token of the servers", () => {
    const { spec } = find<{ spec: MonitorSpec }>(MONITOR, "spool");
    const scraped = services().filter(({ metadata }) => isPart(spec.selector.matchLabels, metadata!.labels!));
    assert.deepEqual(
      scraped.map(({ metadata }) => metadata!.name),
      ["spool"],
    );
    const [endpoint] = spec.endpoints;
    assert.ok(scraped[0]!.spec!.ports!.some(({ name }) => name === endpoint!.port));
    assert.deepEqual(
      [endpoint!.path, endpoint!.authorization.credentials],
      ["/metrics", { name: "spool", key: "token" }],
    );
    assert.equal(scraped[0]!.metadata!.labels![spec.jobLabel], "spool");
  });
});

interface MonitorSpec {
  jobLabel: string;
  selector: { matchLabels: Record<string, string> };
  endpoints: { port: string; path: string; authorization: { credentials: { name: string; key: string } } }[];
}

function find<Type>(kind: string, name: string): Type {
  const found = manifests.filter((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  assert.equal(found.length, 1, `${kind} ${name}`);
  return found[0] as Type;
}

function services(): Service[] {
  return manifests.filter(({ kind }) => kind === "Service") as Service[];
}

function containersOf(spec: PodSpec | undefined): Container[] {
  return [...spec!.containers, ...(spec!.initContainers ?? [])];
}

function isPart(part: Readonly<Record<string, string>>, whole: Readonly<Record<string, string>>): boolean {
  return Object.entries(part).every(([name, value]) => whole[name] === value);
}
