import { startCuttingProxy } from "../../support/cutting-proxy.ts";
import { admitRole, mountVolume, ROLE, runStatement, urlOf } from "../../fault/support/troubles.ts";
import type { Scene } from "../../fault/support/troubles.ts";
import type { Guard } from "./guard.ts";
import { PromotableServer } from "./promotable-server.ts";
import type { OwnPostgres } from "./target.ts";

const NAME = "spool";
const NAMES = ["postgres-1", "postgres-2"];
/** Servers connect anew after most faults: a cheap login leaves the processors to the rest. */
const SETTINGS = { scram_iterations: "1" };
/** More than a run of ten minutes stores. */
const VOLUME_MIB = 768;

/** Postgres servers, each with a database that the role of the servers owns. Disposing stops them. */
export interface Databases extends AsyncDisposable {
  /** `url`: of the database, over the proxy. */
  readonly all: readonly (OwnPostgres & { url: string })[];
}

/** Starts the Postgres servers. The tables of the second are on a small volume, if this process may mount one. */
export async function startDatabases({ guard, gaps }: { guard: Guard; gaps: string[] }): Promise<Databases> {
  await using opened = new AsyncDisposableStack();
  const volume = mountVolume(VOLUME_MIB);
  if (volume === null) gaps.push("full-disk: this process may not mount a volume");
  else {
    guard.volume(volume.folder);
    opened.defer(() => volume.unmount());
  }
  const all = await Promise.all(
    NAMES.map(async (name, index) => {
      const server = opened.use(await PromotableServer.start(SETTINGS));
      await admitRole(server);
      const isOnVolume = volume !== null && index === NAMES.length - 1;
      if (isOnVolume) await runStatement(server.url, `create tablespace small location '${volume.folder}'`);
      const tablespace = isOnVolume ? " tablespace small" : "";
      await runStatement(server.url, `create database ${NAME} owner ${ROLE}${tablespace}`);
      const proxy = opened.use(await startCuttingProxy(() => urlOf(server, NAME, ROLE)));
      const scene: Scene = {
        server,
        name: NAME,
        volume: isOnVolume ? volume.folder : null,
        operate: (sql) => runStatement(server.url, sql),
        operateInside: (sql) => runStatement(urlOf(server, NAME), sql),
      };
      return { name, promotable: isOnVolume ? null : server, scene, proxy, url: proxy.url };
    }),
  );
  const rest = opened.move();
  return { all, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
