import { readNamespaces } from "../store/access/namespaces.ts";
import type { Finding } from "./check.ts";
import { worst } from "./check.ts";
import type { DoctorContext } from "./doctor-context.ts";
import type { Scan } from "./scans.ts";

/** The most namespaces that are checked besides that of the settings. */
const NAMESPACES_CHECKED_MAX = 100;
/** How long servers may take to join a new namespace. Until then, its checks would find no server. */
const JOIN_MS_MAX = 10_000;
/** The most namespaces that a finding names. */
const NAMED_MAX = 3;

/** Returns a context for each namespace of the service. That of the settings comes first. */
export async function checkedNamespaces(context: DoctorContext): Promise<DoctorContext[]> {
  const rows = await context.read(readNamespaces);
  const others = rows.filter(
    ({ name, createdAt }) => name !== context.namespace && Date.now() - createdAt.getTime() > JOIN_MS_MAX,
  );
  return [context, ...others.slice(0, NAMESPACES_CHECKED_MAX).map(({ name }) => context.of(name))];
}

/** Makes a scan in all namespaces. Returns one finding: with the worst status, and what was found where. */
export async function scanNamespaces(contexts: readonly DoctorContext[], scan: Scan["scan"]): Promise<Finding> {
  const found = await Promise.all(
    contexts.map(async (context) => ({ namespace: context.namespace, finding: await scan(context) })),
  );
  const [first] = found;
  if (found.length === 1) return first!.finding;
  const status = worst(found.map(({ finding }) => finding.status));
  const [shown, ...more] = found.filter(({ finding }) => finding.status === status);
  if (shown === undefined) return first!.finding; // All were skipped.
  const text = ({ namespace, finding }: typeof shown) => `${namespace}: ${finding.found}`;
  if (status === "ok") return { ...shown.finding, found: `${text(shown)} (and ${more.length} more namespaces)` };
  const named = [shown, ...more.slice(0, NAMED_MAX - 1)].map(text).join("; ");
  const unnamed = 1 + more.length - NAMED_MAX;
  return { ...shown.finding, found: unnamed > 0 ? `${named}; and ${unnamed} more namespaces` : named };
}
