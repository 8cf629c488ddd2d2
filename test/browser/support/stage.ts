import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import type { Browser } from "playwright-core";
import { connect } from "../../../src/client/client.ts";
import type { SpoolClient } from "../../../src/client/client.ts";
import { startServerProcess } from "../../support/server-process.ts";
import type { ServerProcess } from "../../support/server-process.ts";

export const CHROMIUM = process.env["SPOOL_TEST_CHROMIUM"] ?? "/usr/bin/chromium";
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const KINDS = join(import.meta.dirname, "kinds.ts");

/** A server with the kinds of these tests, its data in a folder of its own, and a client of it. */
export interface Stage extends AsyncDisposable {
  readonly server: ServerProcess;
  readonly client: SpoolClient;
  /** Kills the server, does what is to be done meanwhile, and starts another on the same ports and data. */
  restart(meanwhile: () => Promise<void>): Promise<void>;
}

let browser: Promise<Browser> | undefined;
let stage: Promise<Stage> | undefined;

/** The browser that all tests share. */
export function sharedBrowser(): Promise<Browser> {
  browser ??= chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
  return browser;
}

/** The server that all tests share which do nothing to it. */
export function sharedStage(): Promise<Stage> {
  stage ??= openStage();
  return stage;
}

export async function openStage(environment: Record<string, string> = {}): Promise<Stage> {
  const dataDir = await mkdtemp(join(tmpdir(), "spool-browser-"));
  const start = (more: Record<string, string>) =>
    startServerProcess({
      environment: { SPOOL_DATA_DIR: dataDir, SPOOL_SLOTS: "1000", ...environment, ...more },
      args: ["--kinds", KINDS],
    });
  let server = await start({});
  const client = connect({ address: server.address, token: environment["SPOOL_TOKEN"] });
  return {
    get server() {
      return server;
    },
    client,
    async restart(meanwhile) {
      const [grpc, http] = [server.address, server.url].map((address) => address.split(":").at(-1)!);
      await server.end("SIGKILL");
      await meanwhile();
      server = await start({ SPOOL_PORT: grpc!, SPOOL_HTTP_PORT: http! });
    },
    async [Symbol.asyncDispose]() {
      client.close();
      await server[Symbol.asyncDispose]();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Mocha calls it once, after the last test. What could not be opened has failed the test that wanted it. */
export async function mochaGlobalTeardown(): Promise<void> {
  const [opened, staged] = await Promise.allSettled([browser, stage]);
  if (opened.status === "fulfilled") await opened.value?.close();
  if (staged.status === "fulfilled") await staged.value?.[Symbol.asyncDispose]();
}
