import { within } from "../../async/time-limit.ts";
import { OutOfPlace, SpoolError } from "../../domain/errors.ts";
import type { TaskEngine, Worker } from "../../engine/api/task-engine.ts";
import type { AttemptRef } from "../../engine/api/worker-protocol.ts";
import type { Hello, WorkRequest, WorkResponse } from "../../gen/spool/v1/worker_service_pb.ts";
import { refusalOf } from "../validation/decode-work.ts";
import { Outbox } from "../call/outbox.ts";
import { parseAppend, parseChecked, parseFinish, parseHello } from "../validation/parse-work.ts";
import type { CallContext } from "../call/service.ts";
import { toWorkResponse } from "../codec/work-message.ts";

/** How long a stream may be open before its Hello arrives. */
const HELLO_MS = 10_000;
/** How many messages may wait to be sent to a worker before the server stops reading from it. */
const WAITING_MAX = 4_096;

/** Serves the stream of a worker, from its Hello to its end. Handles its messages in order and queues those to send. */
export async function* work(
  engine: TaskEngine,
  requests: AsyncIterable<WorkRequest>,
  { signal }: CallContext,
): AsyncGenerator<WorkResponse, void, undefined> {
  const reader = requests[Symbol.asyncIterator]();
  const hello = parseHello(await readHello(reader, signal));
  const outbox = new Outbox<WorkResponse>(WAITING_MAX);
  const worker = await engine.connectWorker(hello, (notice) => {
    // Any other message serves as a heartbeat.
    if (notice.type !== "heartbeat" || outbox.isEmpty) outbox.push(toWorkResponse(notice));
  });
  const onAbort = () => outbox.fail(signal.reason);
  let hasLeft = false;
  try {
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    void worker.over.then((error) => outbox.fail(error));
    handleAll(reader, worker, outbox).then(
      (left) => {
        hasLeft = left;
        outbox.end();
      },
      (error: unknown) => outbox.fail(error),
    );
    yield* outbox;
  } finally {
    signal.removeEventListener("abort", onAbort);
    await worker.close({ hasLeft });
  }
}

async function readHello(reader: AsyncIterator<WorkRequest>, signal: AbortSignal): Promise<Hello> {
  const first = await within(reader.next(), HELLO_MS, signal);
  signal.throwIfAborted();
  if (first === undefined)
    throw new OutOfPlace(`no Hello within ${HELLO_MS / 1_000} s: a stream starts with exactly one`);
  const { value } = first;
  if (value?.message.case === "hello") return value.message.value;
  throw new OutOfPlace("the first message must be Hello");
}

/** Handles messages until the worker leaves or closes its side. @returns whether the worker sent Leave */
async function handleAll(
  reader: AsyncIterator<WorkRequest>,
  worker: Worker,
  outbox: Outbox<WorkResponse>,
): Promise<boolean> {
  for (;;) {
    const { done, value } = await reader.next();
    if (done === true) return false; // grpc-js also reports a reset stream as done.
    worker.markAlive();
    if (value.message.case === "leave") return true;
    await handle(value, worker);
    await outbox.room();
  }
}

async function handle(request: WorkRequest, worker: Worker): Promise<void> {
  const { message } = request;
  try {
    const refusal = refusalOf(request);
    if (refusal !== undefined) throw refusal;
    switch (message.case) {
      case "append":
        return await worker.append(parseAppend(message.value));
      case "finish":
        return await worker.finish(parseFinish(message.value));
      case "checked":
        return worker.checked(parseChecked(message.value));
      case "drain":
        void worker.stopAssigning(); // The worker is notified later. Its messages are handled meanwhile.
        return;
      case "heartbeat":
        return; // Every message keeps the session alive, see handleAll.
      case "hello":
        throw new OutOfPlace("duplicate Hello: a stream starts with exactly one");
      default:
        throw new OutOfPlace("unknown message: the worker is newer than this server");
    }
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (message.case === "checked") {
      // The worker sends no other answer, so the task must not wait for one.
      const failure = {
        reason: "KIND_FAILED",
        message: `the worker's validation of the params is invalid: ${error.message}`,
      };
      worker.checked({ taskId: message.value.taskId.toLowerCase(), validation: { failure } });
    }
    worker.refuse(refOf(message.value), error);
  }
}

/** Whether an error concerns one message only: the stream stays open. */
function isRefusal(error: unknown): error is SpoolError {
  return error instanceof SpoolError && (error.reason === "INVALID_ARGUMENT" || error.reason === "OUT_OF_PLACE");
}

function refOf(message: object | undefined): AttemptRef {
  const { taskId = "", attempt = 0 } = (message ?? {}) as Partial<AttemptRef>;
  return { taskId, attempt };
}
