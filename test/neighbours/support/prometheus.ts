import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { eventually } from "../../support/eventually.ts";
import { freePort } from "../../support/free-port.ts";

/** One that scrapes each second. Disposing ends it and removes what it has stored. */
export interface Prometheus extends AsyncDisposable {
  /** What its API answers under /api/v1/. @throws Error where it answers with one */
  ask(path: string, parameters?: Readonly<Record<string, string>>): Promise<unknown>;
}

/** @param config besides how often it looks: what docs/operating.md shows */
export async function startPrometheus(config: object): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), "spool-prometheus-"));
  const file = join(folder, "prometheus.yml");
  await writeFile(file, stringify({ global: { scrape_interval: "1s", evaluation_interval: "1s" }, ...config }));
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(
    "prometheus",
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=${address}`,
      "--log.level=error",
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const ended = once(child, "exit");
  await eventually(async () => assert.equal((await fetch(`http://${address}/-/ready`)).status, 200));
  return {
    async ask(path, parameters = {}) {
      const answer = await fetch(`http://${address}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`);
      const { status, data, error } = (await answer.json()) as { status: string; data: unknown; error?: string };
      if (status !== "success") throw new Error(`${path} ${JSON.stringify(parameters)}: ${error}`);
      return data;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
