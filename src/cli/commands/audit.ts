import type { Command } from "commander";
import { followAuditLog } from "../../client/admin/audit-calls.ts";
import type { AuditEvent } from "../../client/admin/audit-calls.ts";
import { CALL_RETRY_MS, runAdminCommand } from "../command-context.ts";
import type { AdminContext } from "../command-context.ts";
import { EXIT } from "../exit-codes.ts";
import { catchInterrupt } from "../follow/interrupt.ts";
import { escapeText } from "../output/escape-text.ts";
import { auditEventJson } from "../output/json-shapes.ts";
import { jsonText, writeOut } from "../output/output.ts";
import { tableLine } from "../output/table-line.ts";

const HEADINGS = ["TIME", "ACTOR", "ACTION", "NAMESPACE", "TARGET", "DETAILS"];
const WIDTHS = [24, 20, 14, 12, 36, 0];

export function addAudit(program: Command): void {
  program
    .command("audit")
    .description("Print the audit log: who created tokens, deleted tasks and the like. Needs the scope admin.")
    .option("--follow", "Wait for further acts, until Ctrl-C")
    .action(({ follow = false }: { follow?: boolean }, command: Command) =>
      runAdminCommand(command, (context) => printAuditLog(context, follow)),
    );
}

async function printAuditLog({ transport, json }: AdminContext, isFollowed: boolean): Promise<number> {
  using interrupt = catchInterrupt();
  const { signal } = interrupt;
  let isEmpty = true;
  try {
    const retryMs = isFollowed ? undefined : CALL_RETRY_MS;
    for await (const events of followAuditLog(transport, { retryMs, signal })) {
      if (events.length === 0 && !isFollowed) break;
      if (isEmpty && events.length > 0 && !json) await writeOut(tableLine(HEADINGS, WIDTHS));
      isEmpty &&= events.length === 0;
      await writeOut(events.map((event) => lineOf(event, json)).join(""));
    }
  } catch (error) {
    if (error !== interrupt.reason) throw error;
    return EXIT.detached;
  }
  return EXIT.succeeded;
}

function lineOf(event: AuditEvent, json: boolean): string {
  if (json) return `${jsonText(auditEventJson(event))}\n`;
  const { time, actor, action, namespace, target, details } = event;
  const texts = [time.toISOString(), actor, action, namespace ?? "", target].map(escapeText);
  return tableLine([...texts, Object.keys(details).length === 0 ? "" : jsonText(details)], WIDTHS);
}
