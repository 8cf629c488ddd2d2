import { eventually } from "../../support/eventually.ts";
import type { OwnServer } from "../target/target.ts";

const UP_MS_MAX = 300_000;

/** Starts a server again. It may not come up while its database is down, so the start is repeated. */
export async function restartServer({ name, replica }: OwnServer): Promise<void> {
  await eventually(() => replica.restart(), { timeoutMs: UP_MS_MAX, describe: `${name} is up again` });
}
