import type { Command } from "commander";
import { SHARD_NAME } from "../../domain/shard.ts";
import type { ListedShard } from "../../server/placement/shard-commands.ts";
import { EXIT } from "../exit-codes.ts";
import { addDatabaseOptions, serverFlags } from "../options/server-flags.ts";
import type { GlobalFlags } from "../options/settings.ts";
import { UsageError } from "../options/usage-error.ts";
import { escapeText } from "../output/escape-text.ts";
import { jsonText, writeOut } from "../output/output.ts";
import { tableLine } from "../output/table-line.ts";
import { reportError } from "../report-error.ts";

const HEADINGS = ["SHARD", "STATE", "NAMESPACES", "DATABASE"];
const WIDTHS = [24, 8, 12, 0];

type Flags = ReturnType<typeof serverFlags>;

export function addShard(program: Command): void {
  const shard = program
    .command("shard")
    .description("Add, list and remove the shards of a service: databases that its namespaces are placed on.")
    .helpCommand(false);
  const add = (name: string, description: string) => addDatabaseOptions(shard.command(name).description(description));
  add("add", "Add a shard, or change its URLs. Servers open it within seconds.")
    .argument("<name>", "1 to 63 of [A-Za-z0-9._-]")
    .option("--url <url>", "Postgres URL, with ?schema=NAME for a schema. Prefer SPOOL_SHARD_URL: ps shows flags.")
    .option("--standby-url <url>", "Postgres URL of a standby of it, for reads. Prefer SPOOL_SHARD_STANDBY_URL.")
    .action((name: string, { url, standbyUrl: standby }: { url?: string; standbyUrl?: string }, command: Command) =>
      run(command, async (flags, json) => {
        const { addShard: addOne } = await import("../../server/placement/shard-commands.ts");
        const standbyUrl = (standby ?? process.env["SPOOL_SHARD_STANDBY_URL"]) || null;
        const added = await addOne(flags, { name: requireName(name), url: urlOf(url), standbyUrl });
        await writeOut(`${json ? jsonText(shardJson(added)) : `shard ${added.name}: ${placeOf(added)}`}\n`);
      }),
    );
  add("list", "List the shards, with the number of their namespaces").action((_options: object, command: Command) =>
    run(command, async (flags, json) => {
      const { listShards } = await import("../../server/placement/shard-commands.ts");
      const shards = await listShards(flags);
      if (!json) await writeOut(tableLine(HEADINGS, WIDTHS));
      for (const listed of shards) {
        await writeOut(json ? `${jsonText(shardJson(listed))}\n` : tableLine(cells(listed), WIDTHS));
      }
    }),
  );
  const changes = {
    close: ["Place no new namespaces on a shard", "closed"],
    open: ["Place new namespaces on a shard again", "open"],
  } as const;
  for (const [word, [description, state]] of Object.entries(changes)) {
    add(word, description)
      .argument("<name>")
      .action((name: string, _options: object, command: Command) =>
        run(command, async (flags, json) => {
          const { changeShardState } = await import("../../server/placement/shard-commands.ts");
          await changeShardState(flags, { name: requireName(name), state });
          await writeOut(`${json ? jsonText({ name, state }) : `shard ${name}: ${state}`}\n`);
        }),
      );
  }
  add("remove", "Remove a shard without namespaces. Its database stays as it is.")
    .argument("<name>")
    .action((name: string, _options: object, command: Command) =>
      run(command, async (flags, json) => {
        const { removeShard } = await import("../../server/placement/shard-commands.ts");
        await removeShard(flags, requireName(name));
        await writeOut(`${json ? jsonText({ name, removed: true }) : `shard ${name}: removed`}\n`);
      }),
    );
}

async function run(command: Command, work: (flags: Flags, json: boolean) => Promise<void>): Promise<void> {
  const { json = false } = command.optsWithGlobals<GlobalFlags>();
  try {
    await work(serverFlags(command), json);
    process.exitCode = EXIT.succeeded;
  } catch (error) {
    process.exitCode = reportError(error, { json });
  }
}

function requireName(name: string): string {
  if (!SHARD_NAME.test(name)) throw new UsageError("<name>: must be 1 to 63 of [A-Za-z0-9._-]");
  return name;
}

function urlOf(flag: string | undefined): string {
  const url = flag ?? process.env["SPOOL_SHARD_URL"];
  if (!url) throw new UsageError("--url: must be given, or SPOOL_SHARD_URL be set");
  return url;
}

function cells(shard: ListedShard): string[] {
  return [shard.name, shard.state, `${shard.namespaces}`, placeOf(shard)].map(escapeText);
}

function placeOf({ place, standbyPlace }: ListedShard): string {
  const standby = standbyPlace === null ? "" : `, standby ${standbyPlace}`;
  return `${place ?? "the database of the settings"}${standby}`;
}

function shardJson({ addedAt, standbyPlace, ...shard }: ListedShard): Record<string, unknown> {
  return { ...shard, standby_place: standbyPlace, added_at: addedAt };
}
