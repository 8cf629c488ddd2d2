import type { Command } from "commander";
import { listNamespaces, setNamespace } from "../../client/admin/namespace-calls.ts";
import type { NamespaceState } from "../../client/admin/namespace-calls.ts";
import { HOME_SHARD } from "../../domain/shard.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import { CALL_RETRY_MS, runAdminCommand } from "../command-context.ts";
import type { AdminContext } from "../command-context.ts";
import { EXIT } from "../exit-codes.ts";
import { addMoves } from "./namespace-moves.ts";
import { addLimits, LIMIT_OPTIONS } from "../options/limit-options.ts";
import { UsageError } from "../options/usage-error.ts";
import { escapeText } from "../output/escape-text.ts";
import { namespaceJson } from "../output/json-shapes.ts";
import { jsonText, writeOut } from "../output/output.ts";
import { tableLine } from "../output/table-line.ts";

const COLUMNS = { NAMESPACE: 32, PENDING: 10, RUNNING: 10, "STORED MIB": 12 };
const SHARD_WIDTH = 16;
const MIB = 1024 * 1024;

type SetOptions = Limits & { limits: boolean };

export function addNamespace(program: Command): void {
  const namespace = program
    .command("namespace")
    .description("Create and list the namespaces of a service. Needs the scope admin.")
    .helpCommand(false);
  const set = namespace
    .command("set")
    .description(
      "Create a namespace, or change its limits. The limits that are given replace all limits; with none given, they stay.",
    )
    .argument("<name>", "1 to 63 of [A-Za-z0-9._-]");
  addLimits(set, Object.keys(LIMIT_OPTIONS) as (keyof Limits)[]);
  set
    .option("--no-limits", "Remove all limits")
    .action((name: string, options: SetOptions, command: Command) =>
      runAdminCommand(command, (context) => setLimits(context, name, options)),
    );
  addMoves(namespace);
  namespace
    .command("list")
    .description("List the namespaces that you may use, with their limits and what they use")
    .action((_options: object, command: Command) => runAdminCommand(command, list));
}

async function setLimits({ transport, json }: AdminContext, name: string, options: SetOptions): Promise<number> {
  const { limits: mayHaveLimits, ...limits } = options;
  const hasLimits = Object.keys(limits).length > 0;
  if (!mayHaveLimits && hasLimits) throw new UsageError("--no-limits: not allowed with a limit");
  const wanted = hasLimits || !mayHaveLimits ? limits : null;
  const state = await setNamespace(transport, { name, limits: wanted, retryMs: CALL_RETRY_MS });
  const text = json ? jsonText(namespaceJson(state)) : `namespace ${state.name}: ${limitsText(state)}`;
  await writeOut(`${text}\n`);
  return EXIT.succeeded;
}

async function list({ transport, json }: AdminContext): Promise<number> {
  const namespaces = await listNamespaces(transport, { retryMs: CALL_RETRY_MS });
  // A service with one shard has no use for the word.
  const hasShards = namespaces.some(({ shard }) => shard !== HOME_SHARD);
  const columns = { ...COLUMNS, ...(hasShards && { SHARD: SHARD_WIDTH }), LIMITS: 0 };
  const widths = Object.values(columns);
  if (namespaces.length > 0 && !json) await writeOut(tableLine(Object.keys(columns), widths));
  for (const namespace of namespaces) {
    const line = json ? `${jsonText(namespaceJson(namespace))}\n` : tableLine(cells(namespace, { hasShards }), widths);
    await writeOut(line);
  }
  return EXIT.succeeded;
}

function cells(namespace: NamespaceState, { hasShards }: { hasShards: boolean }): string[] {
  const { name, shard, usage } = namespace;
  const used =
    usage === null
      ? ["-", "-", "-"]
      : [`${usage.pendingTasks}`, `${usage.runningTasks}`, (usage.storedBytes / MIB).toFixed(1)];
  return [name, ...used, ...(hasShards ? [shard] : []), limitsText(namespace)].map(escapeText);
}

function limitsText({ limits }: NamespaceState): string {
  const set = Object.entries(limits) as [keyof Limits, number][];
  if (set.length === 0) return "no limits";
  return set.map(([name, limit]) => `${LIMIT_OPTIONS[name][0].slice(2).split(" ")[0]} ${limit}`).join(", ");
}
