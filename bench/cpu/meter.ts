import { treeTimeUs } from "./process-time.ts";

/** What takes CPU. The database is all processes of all its servers. */
export const PARTS = ["client", "server", "database"] as const;
export type Part = (typeof PARTS)[number];
export type CpuTime = Readonly<Record<Part, number>>;

/** The processes that are measured besides the clients, which measure themselves. */
export interface Measured {
  servers: readonly { readonly pid: number }[];
  /** The first process of each Postgres. */
  databases: readonly { readonly pid: number }[];
}

/** What a piece of work has done, and what its clients took for it. */
export interface Worked {
  /** How many of what is counted. */
  count: number;
  clientUs: number;
}

/** Does work and measures its CPU time. @returns µs for each of what is counted */
export async function costOf<Work extends Worked>(
  { servers, databases }: Measured,
  work: () => Promise<Work>,
): Promise<{ cost: CpuTime; work: Work }> {
  const before = { server: timeOf(servers), database: timeOf(databases) };
  const done = await work();
  const server = timeOf(servers) - before.server;
  const database = timeOf(databases) - before.database;
  const { count, clientUs } = done;
  return { cost: { client: clientUs / count, server: server / count, database: database / count }, work: done };
}

/** Of all processes together, in µs. */
export function timeOf(processes: Measured["servers"]): number {
  return processes.reduce((sum, { pid }) => sum + treeTimeUs(pid), 0);
}
