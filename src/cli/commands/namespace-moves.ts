import type { Command } from "commander";
import type { MoveNotice } from "../../server/placement/move-namespace.ts";
import { EXIT } from "../exit-codes.ts";
import { parseDuration } from "../options/option-values.ts";
import { addDatabaseOptions, serverFlags } from "../options/server-flags.ts";
import type { GlobalFlags } from "../options/settings.ts";
import { UsageError } from "../options/usage-error.ts";
import { jsonText, writeNotice, writeOut } from "../output/output.ts";
import { reportError } from "../report-error.ts";

const WAIT_MS_DEFAULT = 60_000;
/** How often the progress of a copy is reported. */
const REPORT_MS = 2_000;

/** Adds `namespace move` and `namespace clean`, which work on the databases of the shards. */
export function addMoves(namespace: Command): void {
  addDatabaseOptions(namespace.command("move").description("Move a namespace to another shard, while servers run"))
    .argument("<name>")
    .option("--to <shard>", "The shard to move to")
    .option("--undo", "Take a move back that is not finished")
    .option("--wait <duration>", "How long to wait for the lock of a table (default: 1m)", parseDuration)
    .action((name: string, options: { to?: string; undo?: boolean; wait?: number }, command: Command) =>
      run(command, name, async (flags, onNotice) => {
        const { moveNamespace, undoMove } = await import("../../server/placement/move-namespace.ts");
        const { to, undo = false, wait: waitMs = WAIT_MS_DEFAULT } = options;
        if (undo === (to !== undefined)) throw new UsageError("--to, --undo: give one of them");
        if (to === undefined) return undoMove(flags, name, { waitMs, onNotice });
        return moveNamespace(flags, { name, to }, { waitMs, onNotice });
      }),
    );
  addDatabaseOptions(
    namespace.command("clean").description("Delete the rows of a namespace on the shard that it has left"),
  )
    .argument("<name>")
    .action((name: string, _options: object, command: Command) =>
      run(command, name, async (flags, onNotice) => {
        const { cleanMove } = await import("../../server/placement/move-namespace.ts");
        return cleanMove(flags, name, { onNotice });
      }),
    );
}

async function run(
  command: Command,
  name: string,
  work: (flags: ReturnType<typeof serverFlags>, onNotice: (notice: MoveNotice) => void) => Promise<void>,
): Promise<void> {
  const { json = false } = command.optsWithGlobals<GlobalFlags>();
  let last: MoveNotice | null = null;
  let reportedAt = -Infinity;
  const onNotice = (notice: MoveNotice) => {
    const isNew = notice.step !== last?.step || notice.step === "closing";
    last = notice;
    if (!isNew && performance.now() - reportedAt < REPORT_MS) return;
    reportedAt = performance.now();
    writeNotice({ json, lines: [lineOf(name, notice)], fields: { namespace: name, ...fieldsOf(notice) } });
  };
  try {
    await work(serverFlags(command), onNotice);
    const { step } = last!;
    await writeOut(`${json ? jsonText({ namespace: name, done: step }) : `namespace ${name}: ${step}`}\n`);
    process.exitCode = EXIT.succeeded;
  } catch (error) {
    process.exitCode = reportError(error, { json });
  }
}

function lineOf(name: string, notice: MoveNotice): string {
  if (notice.step === "closing") return `${name}: ${notice.servers} servers still have to leave it`;
  if (!("done" in notice)) return `${name}: ${notice.step}`;
  const { tasks, events } = notice.done;
  return `${name}: ${notice.step}, ${tasks} tasks with ${events} events so far`;
}

function fieldsOf(notice: MoveNotice): Record<string, unknown> {
  if (notice.step === "closing") return { step: notice.step, servers: notice.servers };
  return "done" in notice ? { step: notice.step, ...notice.done } : { step: notice.step };
}
