// The kinds that the servers of a run load. CHAOS_FOLDER is the folder of the notes, CHAOS_NAME the name of the server.

import { openNotes } from "./attempt-notes.ts";
import { chaosKinds } from "./kinds.ts";

const CHECK_MS = 500;

// If the harness is killed, nothing else ends this server.
const harness = process.ppid;
setInterval(() => {
  if (process.ppid !== harness) process.kill(process.pid, "SIGKILL");
}, CHECK_MS).unref();

const note = openNotes(process.env["CHAOS_FOLDER"]!, process.env["CHAOS_NAME"]!);
export const [steps, brief, flaky, exclusive, resumable, stubborn, text] = chaosKinds("server", note);
