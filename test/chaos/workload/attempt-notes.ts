import { globSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { AttemptLine } from "../history.ts";

// What the code of the kinds writes about its attempts. Each process appends to a file of its own, which survives a kill.

type Unstamped<Line> = Line extends AttemptLine ? Omit<Line, "type" | "at" | "worker" | "pid"> : never;
export type AttemptNote = Unstamped<AttemptLine>;
export type WriteNote = (note: AttemptNote) => void;

/** Returns the monotonic clock of the machine, in ms. All processes of the machine share it. */
export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

/** Opens the notes of this process. Each note is written when the call returns. */
export function openNotes(folder: string, worker: string): WriteNote {
  const { pid } = process;
  const file = openSync(join(folder, `${worker}-${pid}.jsonl`), "a");
  return (note) =>
    void writeSync(file, `${JSON.stringify({ type: "attempt", at: machineMs(), ...note, worker, pid })}\n`);
}

/** Reads the notes of all processes, ordered by time. @param originMs the machine's clock at the start of the run */
export function readNotes(folder: string, originMs: number): AttemptLine[] {
  return globSync("*.jsonl", { cwd: folder })
    .flatMap((file) => readFileSync(join(folder, file), "utf8").split("\n"))
    .flatMap((line) => {
      // A process that was killed may have left half a line, without its end.
      if (!line.endsWith("}")) return [];
      const note = JSON.parse(line) as AttemptLine;
      return [{ ...note, at: note.at - originMs }];
    })
    .toSorted((one, other) => one.at - other.at);
}
