import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { access, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServerProcess } from "./support/server-process.ts";
import type { ServerProcess } from "./support/server-process.ts";

const ROOT = join(import.meta.dirname, "..");
const DEFAULT_ADDRESS = "127.0.0.1:50051";
const DEFAULT_URL = "http://127.0.0.1:8080";
/** Run elsewhere: CI installs and tests, and `npm run test:packages` serves from an installed package. */
const ELSEWHERE = ["npm ci && npm start", "npm ci && npm test", "npx spooltape serve"];
const TOUR_MS = 120_000;

describe("the README", () => {
  let server: ServerProcess;
  let dataDir: string;
  let readme: string;

  before(async () => {
    readme = await readFile(join(ROOT, "README.md"), "utf8");
    dataDir = await mkdtemp(join(tmpdir(), "spool-readme-"));
    server = await startServerProcess({
      environment: { SPOOL_DATA_DIR: dataDir, SPOOL_SOURCES_DIR: ROOT },
      args: ["knowledge/kinds.ts", "count-words.ts"].flatMap((file) => ["--kinds", join(ROOT, "examples", file)]),
    });
  });

  after(async () => {
    await server?.[Symbol.asyncDispose]();
    await rm(dataDir, { recursive: true, force: true });
  });

  function run(script: string): string {
    const { status, stdout, stderr } = spawnSync("bash", ["-euo", "pipefail", "-c", script], {
      cwd: ROOT,
      env: { ...process.env, SPOOL_ADDRESS: server.address },
      encoding: "utf8",
    });
    assert.equal(status, 0, `${script}\n${stdout}\n${stderr}`);
    return stdout;
  }

  it("has commands that work one after the other", () => {
    const blocks = blocksOf(readme, "sh");
    const tour = blocks.filter((block) => !ELSEWHERE.some((command) => block.startsWith(command)));
    assert.equal(blocks.length - tour.length, ELSEWHERE.length);
    assert.ok(tour.length >= 4);
    const printed = tour.map((block) =>
      run(block.replaceAll(DEFAULT_ADDRESS, server.address).replaceAll(DEFAULT_URL, server.url)),
    );
    assert.match(printed.join("\n"), /"scanned"/);
    assert.match(printed.join("\n"), /"written"/);
    assert.match(printed.join("\n"), /had already ended/);
    assert.match(
      printed.join("\n"),
      /^id: 1\nevent: started\ndata: \{[^]*^id: 8\nevent: final\n[^]*^id: 6\n[^]*"echoed":5/m,
    );
  }).timeout(TOUR_MS);

  it("shows the examples unchanged, and they run", async () => {
    const examples = ["follow.ts", "count-words.ts", "worker.ts"];
    const files = await Promise.all(examples.map((name) => readFile(join(ROOT, "examples", name), "utf8")));
    assert.deepEqual(blocksOf(readme, "ts"), files);
    assert.match(run(`"${process.execPath}" examples/follow.ts`), /echo 3\/3[^]*echoed: 3/);
    const start = `npx spool start count-words --params '{"files": ["LICENSE"]}' --wait`;
    assert.match(run(start), /"words"/);
    const untilThere = `until npx spool list --workers | grep -q ' worker '; do kill -0 $!; done`;
    run(`"${process.execPath}" examples/worker.ts & ${untilThere}; ${start}; kill $!; wait $!`);
  }).timeout(TOUR_MS);

  it("links to documents that show their examples unchanged", async () => {
    for (const [document, examples] of [
      ["telemetry.md", ["traced-kind.ts"]],
      ["kinds.md", ["knowledge/kinds.ts", "stored-report.ts"]],
    ] as const) {
      const text = await readFile(join(ROOT, "docs", document), "utf8");
      const files = examples.map((example) => readFile(join(ROOT, "examples", example), "utf8"));
      assert.deepEqual(blocksOf(text, "ts"), await Promise.all(files));
    }
  });

  it("links only to files that exist", async () => {
    const links = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path]) => path!);
    assert.ok(links.length > 10);
    for (const path of links) await assert.doesNotReject(access(join(ROOT, path)), `${path} is missing`);
  });
});

function blocksOf(markdown: string, language: string): string[] {
  return [...markdown.matchAll(/^```(\w+)\n([^]*?)^```$/gm)]
    .filter(([, tag]) => tag === language)
    .map(([, , text]) => text!);
}
