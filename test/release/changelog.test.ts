import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readChangelog } from "../../scripts/changelog.ts";
import { PREVIOUS_RELEASE } from "../fault/support/previous-release.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const MANIFESTS = [
  "package.json",
  ...globSync("packages/*/package.json", { cwd: ROOT }),
  "examples/knowledge/package.json",
];

interface Manifest {
  name: string;
  version: string;
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
}

/** Where other files name the version, each at least once. */
const NAMED: Readonly<Record<string, RegExp>> = {
  "man/spool.1": /^\.TH SPOOL 1 "" "Spool ([^"]+)"/gm,
  "deploy/compose/compose.yaml": /\$\{SPOOL_IMAGE:-spool:([^}]+)\}/g,
  "deploy/kubernetes/base/kustomization.yaml": /newTag: ([^\s}]+)/g,
  "deploy/kubernetes/migration/kustomization.yaml": /newTag: ([^\s}]+)/g,
  "docs/deploy.md": /^FROM spool:(\S+)$/gm,
};

const read = (file: string) => readFileSync(join(ROOT, file), "utf8");

describe("the changelog", () => {
  const [unreleased, ...released] = readChangelog();
  const newest = released[0]!.version;

  it("begins with what is not released, then has the versions from the newest to the oldest", () => {
    assert.equal(unreleased!.version, null);
    const numbers = released.map(({ version }) =>
      version!
        .split(".")
        .map((part) => part.padStart(6, "0"))
        .join("."),
    );
    assert.deepEqual(numbers, [...new Set(numbers)].toSorted().toReversed());
    const dates = released.map(({ date }) => date!);
    assert.deepEqual(dates, dates.toSorted().toReversed());
  });

  it("has the release that mixed-versions runs as the one before what is newest", () => {
    const isReleased = unreleased!.text.trim() === "";
    assert.equal(released[isReleased ? 1 : 0]!.version, PREVIOUS_RELEASE.version);
  });

  it("has the version of every package as its newest one", () => {
    const manifests = MANIFESTS.map((file) => JSON.parse(read(file)) as Manifest);
    const names = new Set(manifests.map(({ name }) => name));
    for (const { name, version, dependencies, peerDependencies } of manifests) {
      assert.equal(version, newest, name);
      for (const [needed, range] of Object.entries({ ...dependencies, ...peerDependencies })) {
        if (names.has(needed)) assert.equal(range, newest, `${name} needs ${needed}`);
      }
    }
  });

  for (const [file, pattern] of Object.entries(NAMED)) {
    it(`has the version that ${file} names as its newest one`, () => {
      assert.deepEqual([...new Set([...read(file).matchAll(pattern)].map(([, version]) => version))], [newest]);
    });
  }

  it("has a section for each version that prints as the notes of its release", () => {
    for (const { version, text } of released) {
      const { status, stdout } = spawnSync(process.execPath, ["scripts/changelog.ts", version!], {
        cwd: ROOT,
        encoding: "utf8",
      });
      assert.equal(status, 0);
      assert.ok(text.length > 0 && stdout === `${text}\n`, version!);
    }
    assert.equal(spawnSync(process.execPath, ["scripts/changelog.ts", "9.9.9"], { cwd: ROOT }).status, 1);
  });
});
