import type { Logger } from "pino";
import { InvalidArgument, PermissionDenied } from "../../domain/errors.ts";
import { NAMESPACES_MAX } from "../../domain/limits.ts";
import { matchesAny } from "../../domain/principal.ts";
import { HOME_SHARD } from "../../domain/shard.ts";
import { readNamespaces, writeNamespace } from "../../store/access/namespaces.ts";
import type { Store } from "../../store/database.ts";
import type { NamespaceState } from "../../domain/namespace-state.ts";
import type { ServiceAdmin } from "../api/service-admin.ts";
import type { Engines } from "../namespaces/engines.ts";
import { audited } from "./audited.ts";
import { NamespaceCounts } from "./namespace-counts.ts";
import type { NamespacePlaces } from "./namespace-counts.ts";

/**
 * Creates, changes and lists namespaces.
 *
 * @param parts.engines the namespace of the server's settings is listed without a row
 */
export function namespaceAdmin({
  store: { db },
  engines,
  log,
}: {
  store: Pick<Store, "db">;
  engines: Pick<Engines, "defaultNamespace" | "refresh"> & NamespacePlaces;
  log: Logger;
}): Pick<ServiceAdmin, "setNamespace" | "listNamespaces"> {
  const { defaultNamespace } = engines;
  const counts = new NamespaceCounts(engines);

  async function withUsage(rows: readonly KnownNamespace[]): Promise<NamespaceState[]> {
    const usageOf = await counts.read();
    return rows.map(({ name, limits, createdAt, createdBy, shard }) => {
      const known = { name, limits, createdAt, createdBy, shard };
      return { ...known, usage: usageOf(known) };
    });
  }

  return {
    async setNamespace(by, { name, limits }) {
      if (!matchesAny(by.namespaces, name)) {
        const what = `${by.name} may not use the namespace ${JSON.stringify(name)}`;
        throw new PermissionDenied(what, { principal: by.name, namespace: name });
      }
      const avoid = await counts.unreachable();
      const row = await audited({ db, log }, async (trx, record) => {
        const written = await writeNamespace(trx, { name, limits, by: by.name, avoid });
        if (written === undefined) {
          const description = `cannot be created: the service has ${NAMESPACES_MAX.toLocaleString("en-US")} namespaces`;
          throw new InvalidArgument([{ field: "name", description }]);
        }
        const details = { created: written.isNew, ...(limits !== null && { limits }) };
        record({ actor: by.name, action: "namespace.set", target: name, namespace: name, details });
        return written.row;
      });
      await engines.refresh(name); // The caller can use the namespace here at once.
      return (await withUsage([row]))[0]!;
    },

    async listNamespaces(by) {
      const rows: KnownNamespace[] = await readNamespaces(db);
      if (!rows.some(({ name }) => name === defaultNamespace)) {
        rows.push({ name: defaultNamespace, limits: {}, createdAt: null, createdBy: null, shard: HOME_SHARD });
      }
      const visible = rows.filter(({ name }) => matchesAny(by.namespaces, name));
      return withUsage(visible.toSorted((one, other) => (one.name < other.name ? -1 : 1)));
    },
  };
}

/** A namespace of the table, or that of the server's settings. */
type KnownNamespace = Omit<NamespaceState, "usage">;
