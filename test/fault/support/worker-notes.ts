import { closeSync, globSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

/** What a worker's process writes down: it outlives the process, whenever that is killed. */
export type WorkerNote = { pid: number; at: number } & (
  | { type: "connected"; sessionId: string; resumed: boolean }
  | { type: "disconnected"; message: string }
  | { type: "refused"; taskId: string; attempt: number; message: string }
  /** @param running how many attempts run in this process that were not told to stop, with this one */
  | { type: "began"; taskId: string; attempt: number; running: number }
  /** The worker was told that so many events of the attempt are stored. */
  | { type: "stored"; taskId: string; attempt: number; events: number }
);

type Distributed<Note> = Note extends WorkerNote ? Omit<Note, "pid" | "at"> : never;
export type WriteNote = (note: Distributed<WorkerNote>) => void;

/** Opens the notes of this process, a file in the folder with a note a line. Each is written when the call returns. */
export function openNotes(folder: string): { write: WriteNote } & Disposable {
  const file = openSync(join(folder, `${process.pid}.jsonl`), "a");
  return {
    write: (note) => void writeSync(file, `${JSON.stringify({ pid: process.pid, at: Date.now(), ...note })}\n`),
    [Symbol.dispose]: () => closeSync(file),
  };
}

/** The notes of every process, those of each in the order in which it wrote them. */
export function readNotes(folder: string): WorkerNote[] {
  return globSync("*.jsonl", { cwd: folder }).flatMap((file) =>
    readFileSync(join(folder, file), "utf8")
      .trimEnd()
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as WorkerNote),
  );
}
