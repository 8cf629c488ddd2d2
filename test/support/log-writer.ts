import { openProcessLog } from "../../src/server/log/logging.ts";

// Writes as many lines as it is told to its log, says so on standard output, and ends as it is told to.

const [count, ending] = process.argv.slice(2);
const log = openProcessLog({ level: "info", format: "json", namespace: "test" });
for (let line = 1; line <= Number(count); line++) log.info({ line }, "a line");
process.stdout.write("written\n");

switch (ending) {
  case "throw":
    setImmediate(() => {
      throw new Error("nobody catches this");
    });
    break;
  case "exit":
    process.exit();
    break;
  case "warn, then SIGKILL":
    log.warn("the last line");
    process.kill(process.pid, "SIGKILL");
    break;
  case "live":
    setInterval(() => {}, 1_000);
    break;
  default:
    break;
}
