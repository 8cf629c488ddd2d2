import { HOME_SHARD } from "../domain/shard.ts";
import { readNamespaces } from "../store/access/namespaces.ts";
import { skipped } from "./check.ts";
import type { Finding } from "./check.ts";
import type { DoctorContext } from "./doctor-context.ts";
import { mergeFindings } from "./merge-findings.ts";
import type { Scan } from "./scans.ts";

/** The most namespaces that are checked besides that of the settings. */
const NAMESPACES_CHECKED_MAX = 100;
/** How long servers may take to join a new namespace. Until then, its checks would find no server. */
const JOIN_MS_MAX = 10_000;
/** A shard, and the context of the first one, which says where namespaces live. */
export interface ExaminedShard {
  name: string;
  directory: DoctorContext;
}

/** Returns a context for each namespace of a shard. That of the settings comes first, if it lives there. */
export async function checkedNamespaces(context: DoctorContext, shard: ExaminedShard): Promise<DoctorContext[]> {
  const rows = await shard.directory.read(readNamespaces);
  const own = rows.find(({ name }) => name === context.namespace);
  const hasOwn = (own?.shard ?? HOME_SHARD) === shard.name;
  const others = rows.filter(
    (row) => row !== own && row.shard === shard.name && Date.now() - row.createdAt.getTime() > JOIN_MS_MAX,
  );
  return [...(hasOwn ? [context] : []), ...others.slice(0, NAMESPACES_CHECKED_MAX).map(({ name }) => context.of(name))];
}

/** Makes a scan in all namespaces. Returns one finding: with the worst status, and what was found where. */
export async function scanNamespaces(contexts: readonly DoctorContext[], scan: Scan["scan"]): Promise<Finding> {
  const found = await Promise.all(
    contexts.map(async (context) => ({ where: context.namespace, finding: await scan(context) })),
  );
  return found.length === 0 ? skipped("no namespace lives here") : mergeFindings(found, "namespaces");
}
