import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";

const ROOT = join(import.meta.dirname, "../..");
const FOLDER = join(ROOT, "deploy/kubernetes");
/** Inside node_modules, so that the compiler finds the types. */
const CACHE = join(ROOT, "node_modules/.cache/spool-manifests");

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
}

/** Parses the objects of a YAML text, with merge keys. @throws Error for a text that is not YAML */
export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text, { merge: true }).map((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document.toJS() as Manifest;
  });
}

/** Returns the objects in the files of a folder of deploy/kubernetes, without its kustomization.yaml. */
export function readManifests(folder: string): Manifest[] {
  const files = globSync("*.yaml", { cwd: join(FOLDER, folder), exclude: ["kustomization.yaml"] }).sort();
  return files.flatMap((file) => parseManifests(readFileSync(join(FOLDER, folder, file), "utf8")));
}

export interface Kustomization {
  resources: string[];
  images?: { name: string; newTag: string }[];
  configMapGenerator?: { name: string; literals: string[] }[];
}

export function readKustomization(folder: string): { kustomization: Kustomization; files: string[] } {
  const [kustomization] = parseManifests(readFileSync(join(FOLDER, folder, "kustomization.yaml"), "utf8"));
  const files = globSync("*.yaml", { cwd: join(FOLDER, folder), exclude: ["kustomization.yaml"] });
  return { kustomization: kustomization as unknown as Kustomization, files };
}

/**
 * Returns what the compiler says about objects of Kubernetes as values of the types of its API: unknown fields, missing
 * ones, and values of another type. Empty: nothing.
 */
export function typeProblems(manifests: readonly Manifest[]): string {
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, "check-"));
  try {
    const values = manifests.map((manifest, index) => {
      const type = `import("kubernetes-types/${modulePath(manifest.apiVersion)}.js").${manifest.kind}`;
      return `export const value${index}: ${type} = ${JSON.stringify(manifest, null, 1)};\n`;
    });
    writeFileSync(join(folder, "values.ts"), values.join(""));
    const options = { module: "nodenext", noEmit: true, strict: true, exactOptionalPropertyTypes: true, types: [] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, include: ["values.ts"] }));
    const { stdout, stderr } = spawnSync("tsc", ["--project", folder], { cwd: ROOT, encoding: "utf8" });
    return stdout + stderr;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** `core/v1` for `v1`, `networking/v1` for `networking.k8s.io/v1`. */
function modulePath(apiVersion: string): string {
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["core", apiVersion];
  return `${group!.split(".")[0]}/${version}`;
}
