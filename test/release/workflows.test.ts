import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import manifest from "../../package.json" with { type: "json" };

const ROOT = join(import.meta.dirname, "..", "..");
const FOLDER = join(ROOT, ".github", "workflows");
const PINNED = /^\s*(?:- )?uses: ([\w.-]+\/[\w./-]+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+$/;
/** Names of files and folders of the checkout. What a workflow builds is in dist. */
const PATHS = /(?<![\w./$-])(?:\.ci|clients|deploy|docs|examples|packages|proto|scripts|src|test)\/[\w./-]*\w/g;

type Permissions = Readonly<Record<string, string>>;

/** What each job may do, beyond nothing. */
const PERMISSIONS: Readonly<Record<string, Readonly<Record<string, Permissions>>>> = {
  "ci.yml": { check: { contents: "read" } },
  "release.yml": {
    test: { contents: "read" },
    build: { contents: "read" },
    npm: { "id-token": "write" },
    pypi: { "id-token": "write" },
    image: { contents: "read", packages: "write", "id-token": "write", attestations: "write" },
    publish: { contents: "write", "id-token": "write", attestations: "write" },
  },
};

interface Step {
  uses?: string;
  run?: string;
  if?: string;
  with?: Record<string, unknown>;
}

interface Job {
  permissions?: Permissions;
  environment?: string;
  "timeout-minutes"?: number;
  steps: Step[];
}

interface Workflow {
  on: Record<string, unknown>;
  permissions: Permissions;
  jobs: Record<string, Job>;
}

describe("the workflows", () => {
  it("are those whose permissions are listed here", () => {
    assert.deepEqual(globSync("*", { cwd: FOLDER }).toSorted(), Object.keys(PERMISSIONS));
  });

  it("pin each action to one commit, with its version", () => {
    const commits = new Map<string, string>();
    for (const file of Object.keys(PERMISSIONS)) {
      const lines = readFileSync(join(FOLDER, file), "utf8").split("\n");
      for (const line of lines.filter((candidate) => /\buses:/.test(candidate))) {
        const [, action, commit] = PINNED.exec(line) ?? [];
        assert.ok(action !== undefined && commit !== undefined, `${file}: ${line}`);
        assert.equal(commits.get(action) ?? commit, commit, `${file} has another commit of ${action}`);
        commits.set(action, commit);
      }
    }
    assert.ok(commits.size > 0);
  });

  for (const [file, permissions] of Object.entries(PERMISSIONS)) {
    describe(file, () => {
      const workflow = parse(readFileSync(join(FOLDER, file), "utf8")) as Workflow;
      const jobs = Object.entries(workflow.jobs);
      const steps = jobs.flatMap(([, job]) => job.steps);

      it("gives no permission to the workflow, and to each job only what it needs", () => {
        assert.deepEqual(workflow.permissions, {});
        assert.deepEqual(Object.fromEntries(jobs.map(([name, job]) => [name, job.permissions])), permissions);
      });

      it("does not run with the rights of the repository for pull requests of others", () => {
        assert.ok(!("pull_request_target" in workflow.on) && !("workflow_run" in workflow.on));
      });

      it("limits the time of each job, and leaves no credentials in a checkout", () => {
        for (const [name, job] of jobs) {
          assert.ok(job["timeout-minutes"]! <= 30, name);
          for (const { uses, with: inputs } of job.steps) {
            if (uses?.startsWith("actions/checkout@")) assert.equal(inputs?.["persist-credentials"], false, name);
          }
        }
      });

      it("writes no expression into a script, where its value would be code", () => {
        for (const { run = "" } of steps) assert.ok(!run.includes("${{"), run);
      });

      it("runs only npm scripts that exist", () => {
        const scripts = steps.flatMap(({ run = "" }) =>
          [...run.matchAll(/\bnpm run (?:--silent )?([\w:-]+)/g)].map(([, name]) => name!),
        );
        for (const name of scripts) assert.ok(name in manifest.scripts, name);
      });

      it("names only files that exist, or that its step requires", () => {
        for (const step of steps) {
          const required = [...(step.if ?? "").matchAll(/hashFiles\('(\w+\/\w+)\//g)].map(([, folder]) => folder!);
          const text = `${step.run ?? ""} ${JSON.stringify(step.with ?? {})}`;
          for (const [path] of text.matchAll(PATHS)) {
            const isRequired = required.some((folder) => path === folder || path.startsWith(`${folder}/`));
            assert.ok(isRequired || existsSync(join(ROOT, path)), path);
          }
        }
      });
    });
  }

  it("publish only from a tag whose version was tested", () => {
    const release = parse(readFileSync(join(FOLDER, "release.yml"), "utf8")) as Workflow & {
      jobs: Record<string, { needs?: string | string[] }>;
    };
    assert.deepEqual(release.on, { push: { tags: ["v*"] } });
    const needsOf = (name: string): string[] => {
      const needs = [release.jobs[name]!.needs ?? []].flat();
      return [...needs, ...needs.flatMap(needsOf)];
    };
    for (const name of Object.keys(release.jobs).filter((job) => job !== "test")) {
      assert.ok(needsOf(name).includes("test"), name);
    }
    const scripts = release.jobs["test"]!.steps.map(({ run }) => run);
    assert.ok(scripts.includes(".ci/run") && scripts.some((run) => run?.includes("GITHUB_REF_NAME")));
  });
});

describe("the templates of issues", () => {
  const folder = join(ROOT, ".github", "ISSUE_TEMPLATE");

  for (const file of ["bug.yml", "feature.yml"]) {
    it(`have in ${file} what GitHub requires of a form`, () => {
      const form = parse(readFileSync(join(folder, file), "utf8")) as {
        name: string;
        description: string;
        body: { type: string; id: string; attributes: { label: string } }[];
      };
      assert.ok(form.name && form.description && form.body.length > 0);
      const ids = form.body.map(({ id }) => id);
      assert.deepEqual(ids, [...new Set(ids)]);
      for (const { type, attributes } of form.body) assert.ok(type === "textarea" && attributes.label);
    });
  }

  it("send reports of vulnerabilities to the private form that SECURITY.md names", () => {
    const config = parse(readFileSync(join(folder, "config.yml"), "utf8")) as { contact_links: { url: string }[] };
    const security = readFileSync(join(ROOT, "SECURITY.md"), "utf8");
    assert.ok(config.contact_links.some(({ url }) => security.includes(`(${url})`)));
  });
});
