// A worker of the fault scenario, in a process of its own that may be killed at any moment:
// `worker-process.ts ADDRESS NOTES_FOLDER CONCURRENCY`. It ends when its standard input does, with who has started it.

import { worker } from "../../../src/client/client.ts";
import { workerKinds } from "./worker-kinds.ts";
import { openNotes } from "./worker-notes.ts";

process.stdin.on("end", () => process.exit()).resume();
const [address, folder, concurrency] = process.argv.slice(2);
using notes = openNotes(folder!);
const running = worker({
  address,
  kinds: workerKinds(notes.write),
  concurrency: Number(concurrency),
  drainMs: 0,
  graceMs: 500,
  onNotice(notice) {
    switch (notice.type) {
      case "connected":
        return notes.write({ type: "connected", sessionId: notice.sessionId, resumed: notice.resumed });
      case "disconnected":
        return notes.write({ type: "disconnected", message: notice.error.message });
      case "refused": {
        const { taskId, attempt, reason, message } = notice;
        return notes.write({ type: "refused", taskId, attempt, message: `${reason}: ${message}` });
      }
    }
  },
});
await running.stopped;
process.stdin.destroy();
