import type { Snapshot } from "../../domain/snapshot.ts";

/** Encodes a snapshot as a text of JSON. */
export function encodeStoredSnapshot({ xmin, xmax, running, at, timeline, isReplicated }: Snapshot): string {
  const numbers = { xmin: `${xmin}`, xmax: `${xmax}`, running: running.map(String) };
  return JSON.stringify({ ...numbers, at: at.toISOString(), timeline, isReplicated });
}

/** Decodes what encodeStoredSnapshot has returned. */
export function decodeStoredSnapshot(text: string): Snapshot {
  const { xmin, xmax, running, at, timeline, isReplicated } = JSON.parse(text) as Stored;
  return {
    xmin: BigInt(xmin),
    xmax: BigInt(xmax),
    running: running.map(BigInt),
    at: new Date(at),
    timeline,
    isReplicated,
  };
}

interface Stored extends Pick<Snapshot, "timeline" | "isReplicated"> {
  xmin: string;
  xmax: string;
  running: string[];
  at: string;
}
