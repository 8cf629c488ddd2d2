import { resourceFromAttributes } from "@opentelemetry/resources";
import { pino } from "pino";
import { readConfiguration } from "../../src/server/config/configuration.ts";
import { requireKinds } from "../../src/server/config/load-kinds.ts";
import { openServer } from "../../src/server/open-server.ts";
import { openDatabase } from "../../src/store/database.ts";
import { createDatabase } from "./postgres.ts";
import { Stage } from "./stage.ts";

/** A whole server in this process, on free ports, with a database of its own or of another one. */
export interface GuardedServer extends AsyncDisposable {
  readonly address: string;
  readonly url: string;
  /** Plays the code of the tasks of kind `stage`. */
  readonly stage: Stage;
  readonly databaseUrl: string;
  /** What the server has logged, from info on. */
  readonly log: readonly Record<string, unknown>[];
}

/**
 * Opens a server as `spool serve` does.
 *
 * @param token the setting SPOOL_TOKEN; null: calls are not authenticated
 * @param databaseUrl of another server whose database to use
 */
export async function openGuarded({
  token,
  databaseUrl,
  environment = {},
}: {
  token: string | null;
  databaseUrl?: string;
  environment?: Record<string, string>;
}): Promise<GuardedServer> {
  await using opened = new AsyncDisposableStack();
  const url = databaseUrl ?? opened.use(await createDatabase()).url;
  const configuration = readConfiguration({
    flags: { port: "0", httpPort: "0", drainMs: "0", metrics: "off", databaseUrl: url },
    environment: { ...environment, ...(token !== null && { SPOOL_TOKEN: token }) },
  });
  const lines: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) });
  const stage = new Stage();
  const store = await openDatabase({ url });
  const server = await openServer({
    configuration,
    store,
    loaded: requireKinds([stage.kind]),
    resource: resourceFromAttributes({}),
    tracing: null,
    log,
  }).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  opened.defer(() => server.stop());
  const rest = opened.move();
  return {
    address: server.address,
    url: server.url!,
    stage,
    databaseUrl: url,
    log: lines,
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}
