import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { freePort } from "../../support/free-port.ts";
import { startProcess } from "../../support/printing-process.ts";

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
  const args = [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(folder, "data")}`,
    `--web.listen-address=${address}`,
  ];
  const server = startProcess("prometheus", { args, environment: {} });
  await server.next(/Server is ready/);
  return {
    async ask(path, parameters = {}) {
      const answer = await fetch(`http://${address}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`);
      const { status, data, error } = (await answer.json()) as { status: string; data: unknown; error?: string };
      if (status !== "success") throw new Error(`${path} ${JSON.stringify(parameters)}: ${error}`);
      return data;
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
