import type { Act } from "../../domain/audit-event.ts";
import { HOME_SHARD, SHARD_NAME } from "../../domain/shard.ts";
import type { ShardState } from "../../domain/shard.ts";
import {
  countEarlierServers,
  countNamespaces,
  deleteShard,
  lockPlacement,
  readShards,
  setShardState,
  writeShard,
} from "../../store/access/shards.ts";
import { databasePlace, databaseUrlProblem } from "../../store/connection/database-url.ts";
import { openDatabase } from "../../store/database.ts";
import { migrate } from "../../store/migrate.ts";
import { createOwnSchema, holdsData, readPlace } from "../../store/reports/database-place.ts";
import { CONNECTIONS_MAX, withHomeDatabase } from "./home-database.ts";
import { changeAsOperator } from "./operator.ts";
import { PlacementError } from "./placement-error.ts";

type Flags = Readonly<Record<string, string | undefined>>;

/** A shard as the command line shows it. */
export interface ListedShard {
  name: string;
  /** Hosts, database and schema, without user and password; null: the database of the settings. */
  place: string | null;
  /** The same of its standby; null: it has none, or it is the first shard. */
  standbyPlace: string | null;
  state: ShardState;
  namespaces: number;
  addedAt: Date | null;
}

/**
 * Adds a shard to a service: creates its schema, migrates it, and stores its URL on the first shard. Servers open it
 * within seconds. If the shard exists, changes its URLs, for a database that has moved.
 *
 * @param shard.url of a database that holds no data of Spool yet, or that of the existing shard
 * @param shard.standbyUrl of a standby of this database, which need not run yet; null: there is none
 * @throws PlacementError, MigrationBlocked, and what withHomeDatabase throws
 */
export async function addShard(
  flags: Flags,
  { name, url, standbyUrl }: { name: string; url: string; standbyUrl: string | null },
): Promise<ListedShard> {
  requireOtherName(name);
  requireSound("shard", databaseUrlProblem(url));
  if (standbyUrl !== null) requireSound("standby", databaseUrlProblem(standbyUrl, "standby"));
  return withHomeDatabase(flags, async (home) => {
    const earlier = await countEarlierServers(home.db);
    if (earlier > 0)
      throw new PlacementError(`${earlier} servers of an earlier version run: upgrade all of them first`);
    const shards = await readShards(home.db);
    const isKnown = shards.some((shard) => shard.name === name);
    const store = await openDatabase({ url, connectionsMax: CONNECTIONS_MAX });
    try {
      await createOwnSchema(store.db, url);
      await migrate(store.db);
      const place = await readPlace(store.db);
      if (place === (await readPlace(home.db))) throw new PlacementError("this is the first shard of the service");
      if (!isKnown && (await holdsData(store.db))) {
        throw new PlacementError(`${databasePlace(url)} holds data of a service: a new shard must be empty`);
      }
    } finally {
      await store.close();
    }
    const standbyPlace = standbyUrl === null ? null : databasePlace(standbyUrl);
    const details = { place: databasePlace(url), ...(standbyPlace !== null && { standby: standbyPlace }) };
    const entry = await changeAsOperator(home.db, async (trx, record) => {
      await lockPlacement(trx);
      record(actOf("shard.add", name, details));
      return writeShard(trx, { name, url, standbyUrl });
    });
    const namespaces = (await countNamespaces(home.db)).get(name) ?? 0;
    return { name, place: details.place, standbyPlace, state: entry.state, namespaces, addedAt: entry.addedAt };
  });
}

/** Returns all shards, the first one first. */
export async function listShards(flags: Flags): Promise<ListedShard[]> {
  return withHomeDatabase(flags, async ({ db }) => {
    const shards = await readShards(db);
    const counts = await countNamespaces(db);
    const namespacesOn = (name: string) => counts.get(name) ?? 0;
    const home = { name: HOME_SHARD, place: null, standbyPlace: null, state: "open", addedAt: null } as const;
    return [
      { ...home, namespaces: namespacesOn(HOME_SHARD) },
      ...shards.map(({ url, standbyUrl, ...shard }) => ({
        ...shard,
        place: databasePlace(url),
        standbyPlace: standbyUrl === null ? null : databasePlace(standbyUrl),
        namespaces: namespacesOn(shard.name),
      })),
    ];
  });
}

/** Sets whether new namespaces are placed on a shard. @throws PlacementError, and what withHomeDatabase throws */
export async function changeShardState(
  flags: Flags,
  { name, state }: { name: string; state: ShardState },
): Promise<void> {
  requireOtherName(name);
  await withHomeDatabase(flags, async ({ db }) =>
    changeAsOperator(db, async (trx, record) => {
      await lockPlacement(trx);
      if ((await setShardState(trx, { name, state })) === undefined) throw unknownShard(name);
      record(actOf(`shard.${state === "open" ? "open" : "close"}`, name, {}));
    }),
  );
}

/**
 * Removes a shard without namespaces from the service. Its database stays as it is.
 *
 * @throws PlacementError, and what withHomeDatabase throws
 */
export async function removeShard(flags: Flags, name: string): Promise<void> {
  requireOtherName(name);
  await withHomeDatabase(flags, async ({ db }) =>
    changeAsOperator(db, async (trx, record) => {
      await lockPlacement(trx);
      if (!(await readShards(trx)).some((shard) => shard.name === name)) throw unknownShard(name);
      if (!(await deleteShard(trx, name))) {
        const count = (await countNamespaces(trx)).get(name) ?? 0;
        throw new PlacementError(`${count} namespaces live on the shard ${name}: move them first`);
      }
      record(actOf("shard.remove", name, {}));
    }),
  );
}

function requireOtherName(name: string): void {
  if (name === HOME_SHARD) throw new PlacementError(`${HOME_SHARD} is the first shard, which cannot be changed`);
  if (!SHARD_NAME.test(name)) throw new PlacementError("the name of a shard must be 1 to 63 of [A-Za-z0-9._-]");
}

function requireSound(of: string, problem: string | null): void {
  if (problem !== null) throw new PlacementError(`the URL of the ${of} ${problem}`);
}

function unknownShard(name: string): PlacementError {
  return new PlacementError(`there is no shard ${name}: spool shard list shows all`);
}

function actOf(action: string, target: string, details: Act["details"]): Omit<Act, "actor"> {
  return { action, target, namespace: null, details };
}
