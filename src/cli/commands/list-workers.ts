import type { Session } from "../../client/client.ts";
import { escapeText } from "../output/escape-text.ts";
import { EXIT } from "../exit-codes.ts";
import { sessionJson } from "../output/json-shapes.ts";
import { jsonText, writeNotice, writeOut } from "../output/output.ts";
import type { CommandContext } from "../command-context.ts";
import { tableLine } from "../output/table-line.ts";

const HEADINGS = ["SESSION", "ROLE", "HOST", "PID", "RUNNING", "SEEN", "KINDS"];
const WIDTHS = [36, 6, 20, 8, 9, 24, 0];

/** Prints the sessions of the servers and workers that run tasks, one line each, with running tasks and capacity. */
export async function listWorkers({ client, json }: CommandContext): Promise<number> {
  const { sessions, hasMore } = await client.sessions();
  if (sessions.length > 0 && !json) await writeOut(tableLine(HEADINGS, WIDTHS));
  for (const session of sessions) {
    await writeOut(json ? `${jsonText(sessionJson(session))}\n` : tableLine(cells(session), WIDTHS));
  }
  if (hasMore) {
    const lines = [`more than ${sessions.length} sessions exist; the rest is not listed`];
    writeNotice({ json, lines, fields: { notice: "more", shown: sessions.length } });
  }
  return EXIT.succeeded;
}

function cells({ sessionId, isWorker, host, pid, kinds, capacity, running, seenAt }: Session): string[] {
  const role = isWorker ? "worker" : "server";
  return [sessionId, role, host, `${pid}`, `${running}/${capacity}`, seenAt.toISOString(), kinds.join(" ")].map(
    escapeText,
  );
}
