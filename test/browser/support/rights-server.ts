import { pino } from "pino";
import { NamespaceNotFound, Unauthenticated } from "../../../src/domain/errors.ts";
import type { Principal } from "../../../src/domain/principal.ts";
import { ALL_GRANTS } from "../../../src/domain/principal.ts";
import { NO_LIMITS } from "../../../src/domain/tenant-limits.ts";
import { lastingIdentity } from "../../../src/rpc/call/identity.ts";
import type { Authenticator } from "../../../src/rpc/call/identity.ts";
import { consoleFiles } from "../../../src/server/http/console-files.ts";
import { openHttpListener } from "../../../src/server/http/http-listener.ts";
import { Readiness } from "../../../src/server/readiness.ts";
import { openMetrics } from "../../../src/server/telemetry/metrics.ts";
import { startEngine } from "../../support/engines.ts";
import type { TestEngine } from "../../support/engines.ts";
import { openPostgres } from "../../support/stores.ts";

/** A server in this process with the namespaces `first` and `second`. */
export interface RightsServer extends AsyncDisposable {
  readonly url: string;
  readonly engines: Readonly<Record<"first" | "second", TestEngine>>;
}

/** @param options replace those of a listener on any free port */
export async function openRightsServer(
  options: Pick<Parameters<typeof openHttpListener>[0], "authenticator" | "provider"> & { port?: number },
): Promise<RightsServer> {
  await using opened = new AsyncDisposableStack();
  const store = opened.use(await openPostgres());
  const first = opened.use(await startEngine(store, { namespace: "first" }));
  const second = opened.use(await startEngine(store, { namespace: "second" }));
  const engines = new Map([first, second].map((engine) => [engine.namespace, engine]));
  const metrics = opened.use(openMetrics());
  const listener = await openHttpListener({
    engines: {
      defaultNamespace: "first",
      of(namespace) {
        const engine = engines.get(namespace);
        if (engine === undefined) throw new NamespaceNotFound(namespace);
        return engine;
      },
      limitsOf: () => NO_LIMITS,
    },
    host: "127.0.0.1",
    port: 0,
    readiness: new Readiness(async () => {}),
    metrics,
    fallback: consoleFiles(),
    log: pino({ level: "silent" }),
    ...options,
  });
  opened.defer(() => listener.close({ graceMs: 0 }));
  const all = opened.move();
  return {
    url: `http://127.0.0.1:${listener.port}`,
    engines: { first, second },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Returns an authenticator of some callers, by token. The rights that are left out are allowed. */
export function admitting(callers: Record<string, Partial<Principal>>): Authenticator {
  const identities = new Map(
    Object.entries(callers).map(([token, rights]) => [
      `Bearer ${token}`,
      lastingIdentity({ ...ALL_GRANTS, name: token, ...rights }),
    ]),
  );
  return {
    isRequired: true,
    authenticate({ authorization }) {
      if (authorization === undefined) throw new Unauthenticated("missing");
      const identity = identities.get(authorization);
      if (identity === undefined) throw new Unauthenticated("wrong");
      return identity;
    },
  };
}
