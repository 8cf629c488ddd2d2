import type { HistoryLine } from "../../history.ts";
import { legalHistory } from "../model/legal-history.ts";
import { CONTROL_BUGS } from "./control.ts";
import { Draft } from "./draft.ts";
import type { PlantedBug } from "./draft.ts";
import { FOLLOWER_BUGS } from "./followers.ts";
import { READ_BUGS } from "./reads.ts";
import { START_BUGS } from "./starts.ts";
import { TAPE_BUGS } from "./tapes.ts";

export const BUGS: readonly PlantedBug[] = [
  ...START_BUGS,
  ...TAPE_BUGS,
  ...FOLLOWER_BUGS,
  ...READ_BUGS,
  ...CONTROL_BUGS,
];

/** Legal histories that are tried until one has a place for a bug. */
const SEEDS_MAX = 400;

/** Returns a history with a bug, of the first seed from `from` on whose legal history has a place for the bug. */
export function plantBug({ name, plant }: PlantedBug, from = 1): { lines: HistoryLine[]; seed: number } {
  for (let seed = from; seed < from + SEEDS_MAX; seed++) {
    const draft = new Draft(legalHistory(seed));
    if (plant(draft)) return { lines: draft.lines, seed };
  }
  throw new Error(`no history of ${SEEDS_MAX} has a place for the bug "${name}"`);
}
