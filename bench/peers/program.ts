import { once } from "node:events";

/** What a peer's program answers. */
export interface PeerRate {
  perSecond: number;
}

process.once("disconnect", () => process.exit());
process.noDeprecation = true; // What a peer still calls is its own affair.

/** The database that the program is given for its own. */
export function databaseUrl(): string {
  return process.argv[2]!;
}

/** How many jobs the program is given. */
export function jobCount(): number {
  return Number(process.argv[3]);
}

/** Tells the benchmark what was measured, and waits until that ends this process. */
export async function report(rate: PeerRate): Promise<void> {
  process.send!(rate);
  await once(process, "disconnect");
}
