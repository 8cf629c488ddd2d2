/** A process whose code of an attempt, or of none, ends it as it is told to; what is told of that is printed. */
import { writeSync } from "node:fs";
import { watchProcess } from "../../src/client/worker/process-watch.ts";
import { withinAttempt } from "../../src/telemetry/attempt-context.ts";

const [ending, place] = process.argv.slice(2);
const ENDINGS: Record<string, () => void> = {
  timer: () => void setTimeout(() => fail("timer"), 1),
  rejection: () => void Promise.resolve().then(() => fail("rejection")),
  exit: () => void setImmediate(() => process.exit(3)),
};

function fail(message: string): never {
  throw new Error(message);
}

watchProcess(({ taskId, kind, attempt }, error) => {
  writeSync(1, `${JSON.stringify([taskId, kind, attempt, (error as Error | undefined)?.message ?? null])}\n`);
});
if (place === "inside") withinAttempt({ taskId: "t", kind: "k", attempt: 2 }, ENDINGS[ending!]!);
else ENDINGS[ending!]!();
