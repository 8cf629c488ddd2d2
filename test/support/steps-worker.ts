// A worker in a process of its own, which a test stops, kills and tells to end. It emits a step whenever it is told to,
// and tells what became of it.

import { worker } from "../../src/client/client.ts";
import type { TaskContext } from "../../src/domain/kind.ts";
import { kindOf } from "./engine-tasks.ts";

const [address] = process.argv.slice(2);
const tell = (said: object) => process.send!(said);

async function steps({ attempt, signal, ...task }: TaskContext): Promise<void> {
  tell({ type: "entered", attempt });
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  let step = 0;
  const emit = async () => {
    try {
      await task.progress("step", ++step);
      await task.flush();
      tell({ type: "stored", attempt, step });
    } catch (error) {
      tell({ type: "refused", attempt, step, reason: (error as { reason: string }).reason });
    }
  };
  process.on("message", (order) => void (order === "return" ? resolve() : emit()));
  signal.addEventListener("abort", () => tell({ type: "stopped", attempt, message: String(signal.reason) }));
  await ended;
}

const running = worker({
  address,
  kinds: [kindOf("steps", steps, { resumable: true })],
  concurrency: 1,
  onNotice: (notice) => tell(notice.type === "connected" ? notice : { type: notice.type }),
});
await running.stopped;
tell({ type: "ended" });
process.disconnect();
