import type { AbandonedMove } from "../store/moves/move-records.ts";
import { ok } from "./check.ts";
import type { Finding } from "./check.ts";
import { durationText } from "./format.ts";

/** Evaluates unfinished moves of namespaces whose process has ended. A closed namespace fails all its calls. */
export function evaluateMoves(abandoned: readonly AbandonedMove[]): Finding {
  const move = abandoned.find(({ phase }) => phase === "closed") ?? abandoned[0];
  if (move === undefined) return ok("no move of a namespace was left unfinished");
  const { namespace, from, to, phase, sinceMs } = move;
  const isClosed = phase === "closed";
  const state = isClosed ? "is unavailable" : "is served";
  const others = abandoned.length > 1 ? `, and ${abandoned.length - 1} more` : "";
  return {
    status: isClosed ? "fail" : "warn",
    found: `the move of ${namespace} from ${from} to ${to}, begun ${durationText(sinceMs)} ago, was left unfinished, and the namespace ${state}${others}`,
    todo: `continue it with spool namespace move ${namespace} --to ${to}, or take it back with --undo`,
    section: "Spool doctor",
  };
}
