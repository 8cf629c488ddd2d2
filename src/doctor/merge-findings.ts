import { worst } from "./check.ts";
import type { Finding } from "./check.ts";

/** The most places that a finding names. */
const NAMED_MAX = 3;

/**
 * Returns one finding of a check that was made in several places: with the worst status, and what was found where.
 *
 * @param found at least one
 * @param places what the places are, such as `namespaces`
 */
export function mergeFindings(found: readonly { where: string; finding: Finding }[], places: string): Finding {
  const [first] = found;
  if (found.length === 1) return first!.finding;
  const status = worst(found.map(({ finding }) => finding.status));
  const [shown, ...more] = found.filter(({ finding }) => finding.status === status);
  if (shown === undefined) return first!.finding; // All were skipped.
  const text = ({ where, finding }: typeof shown) => `${where}: ${finding.found}`;
  if (status === "ok") {
    return {
      ...shown.finding,
      found: more.length === 0 ? text(shown) : `${text(shown)} (and ${more.length} more ${places})`,
    };
  }
  const named = [shown, ...more.slice(0, NAMED_MAX - 1)].map(text).join("; ");
  const unnamed = 1 + more.length - NAMED_MAX;
  return { ...shown.finding, found: unnamed > 0 ? `${named}; and ${unnamed} more ${places}` : named };
}
