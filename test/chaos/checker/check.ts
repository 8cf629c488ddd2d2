import type { HistoryLine } from "../history.ts";
import { checkAttempts } from "./attempts.ts";
import { checkCancels } from "./cancels.ts";
import { collectFacts } from "./collect-facts.ts";
import { checkDeletes } from "./deletes.ts";
import { checkEnds } from "./ends.ts";
import type { Facts } from "./facts.ts";
import { checkFolded } from "./folded.ts";
import { checkFollowers } from "./followers.ts";
import { checkLists } from "./lists.ts";
import { checkManyTasks } from "./many-tasks.ts";
import type { Violation } from "./promises.ts";
import { checkReads } from "./reads.ts";
import { checkRefusals } from "./refusals.ts";
import { checkPageFields } from "./snapshots.ts";
import { checkStarts } from "./starts.ts";
import { checkTapes } from "./tapes.ts";

const CHECKS: readonly ((facts: Facts) => Iterable<Violation>)[] = [
  checkStarts,
  checkTapes,
  checkFollowers,
  checkReads,
  checkPageFields,
  checkAttempts,
  checkCancels,
  checkEnds,
  checkDeletes,
  checkManyTasks,
  checkLists,
  checkFolded,
  checkRefusals,
];

/**
 * Returns the promises of docs/guarantees.md that a history breaks. A promise counts as broken only if no legal
 * execution explains the history: calls without an answer may have happened or not.
 */
export function check(lines: Iterable<HistoryLine>): Violation[] {
  const facts = collectFacts([...lines]);
  return CHECKS.flatMap((checkPromises) => [...checkPromises(facts)]);
}
