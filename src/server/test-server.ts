import { resourceFromAttributes } from "@opentelemetry/resources";
import type { Kind } from "../domain/kind.ts";
import type { KindPackage } from "../kinds/define-kinds.ts";
import { openDatabase } from "../store/database.ts";
import { readConfiguration } from "./config/configuration.ts";
import { requireKinds } from "./config/load-kinds.ts";
import { openProcessLog } from "./log/logging.ts";
import { openServer } from "./open-server.ts";

/** The settings of a test's server. */
export interface TestServerSettings {
  cancelGraceMs?: number | undefined;
  logLevel?: string | undefined;
}

/**
 * Opens a server on free ports of 127.0.0.1, with a database in memory. It ignores the environment, exports nothing, and
 * stops without a drain.
 *
 * @throws ConfigurationError, also for a value that is no kind and for two kinds or packages with the same name
 */
export async function openTestServer(
  kinds: readonly (Kind | KindPackage)[],
  { cancelGraceMs, logLevel = "silent" }: TestServerSettings,
): Promise<{ address: string; url: string; stop(): Promise<void> }> {
  const flags = {
    port: "0",
    httpPort: "0",
    drainMs: "0",
    metrics: "off",
    logLevel,
    cancelGraceMs: cancelGraceMs?.toString(),
  };
  const configuration = readConfiguration({ flags, environment: {} });
  const log = openProcessLog({ level: configuration.logLevel, format: "json", namespace: configuration.namespace });
  const loaded = requireKinds(kinds);
  const store = await openDatabase({ dataDir: null });
  const resource = resourceFromAttributes({});
  try {
    const server = await openServer({ configuration, store, loaded, resource, tracing: null, log });
    return { address: server.address, url: server.url!, stop: server.stop };
  } catch (error) {
    await store.close();
    throw error;
  }
}
