import type { Session as Worker } from "../../client/client.ts";
import { escapeText } from "../output/escape-text.ts";
import { EXIT } from "../exit-codes.ts";
import { sessionJson } from "../output/json-shapes.ts";
import { jsonText, writeNotice, writeOut } from "../output/output.ts";
import type { Session } from "../session.ts";
import { tableLine } from "../output/table-line.ts";

const HEADINGS = ["SESSION", "ROLE", "HOST", "PID", "RUNNING", "SEEN", "KINDS"];
const WIDTHS = [36, 6, 20, 8, 9, 24, 0];

/** Who runs the tasks: one line a session, with how many it runs of how many it could. */
export async function listWorkers({ client, json }: Session): Promise<number> {
  const { sessions, hasMore } = await client.sessions();
  if (sessions.length > 0 && !json) await writeOut(tableLine(HEADINGS, WIDTHS));
  for (const worker of sessions) {
    await writeOut(json ? `${jsonText(sessionJson(worker))}\n` : tableLine(cells(worker), WIDTHS));
  }
  if (hasMore) {
    const lines = [`there are more than ${sessions.length}`];
    writeNotice({ json, lines, fields: { notice: "more", shown: sessions.length } });
  }
  return EXIT.succeeded;
}

function cells({ sessionId, isWorker, host, pid, kinds, capacity, running, seenAt }: Worker): string[] {
  const role = isWorker ? "worker" : "server";
  return [sessionId, role, host, `${pid}`, `${running}/${capacity}`, seenAt.toISOString(), kinds.join(" ")].map(
    escapeText,
  );
}
