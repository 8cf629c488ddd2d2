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

/** How long a stream may be open before its hello. */
const HELLO_MS = 10_000;
/** How much may wait to be sent to a worker before it is read from no further. */
const WAITING_MAX = 4_096;

/** The stream of a worker, from its hello to its end. What it says is taken in order; what it is told waits for it. */
export async function* work(
  engine: TaskEngine,
  requests: AsyncIterable<WorkRequest>,
  { signal }: CallContext,
): AsyncGenerator<WorkResponse, void, undefined> {
  const reader = requests[Symbol.asyncIterator]();
  const hello = parseHello(await readHello(reader, signal));
  const outbox = new Outbox<WorkResponse>(WAITING_MAX);
  const worker = await engine.connectWorker(hello, (notice) => {
    // Whatever else is sent proves as much.
    if (notice.type !== "heartbeat" || outbox.isEmpty) outbox.push(toWorkResponse(notice));
  });
  const onAbort = () => outbox.fail(signal.reason);
  let hasLeft = false;
  try {
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    void worker.over.then((error) => outbox.fail(error));
    takeAll(reader, worker, outbox).then(
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
  if (first === undefined) throw new OutOfPlace(`hello must come within ${HELLO_MS / 1_000} s`);
  const { value } = first;
  if (value?.message.case === "hello") return value.message.value;
  throw new OutOfPlace("hello must come first");
}

/** Resolves when the worker has left, or has closed its side. @returns whether it has left */
async function takeAll(
  reader: AsyncIterator<WorkRequest>,
  worker: Worker,
  outbox: Outbox<WorkResponse>,
): Promise<boolean> {
  for (;;) {
    const { done, value } = await reader.next();
    if (done === true) return false; // grpc-js says the same of a stream that was reset.
    worker.heard();
    if (value.message.case === "leave") return true;
    await take(value, worker);
    await outbox.room();
  }
}

async function take(request: WorkRequest, worker: Worker): Promise<void> {
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
        void worker.stopAssigning(); // It is told when that is so, and heard meanwhile.
        return;
      case "heartbeat":
        return;
      case "hello":
        throw new OutOfPlace("hello: it was said already");
      default:
        throw new OutOfPlace("message: must be one that this server knows");
    }
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (message.case === "checked") {
      // Nobody will give another answer: the task is not to wait for one.
      const failure = {
        reason: "KIND_FAILED",
        message: `what the worker made of the params is refused: ${error.message}`,
      };
      worker.checked({ taskId: message.value.taskId.toLowerCase(), finding: { failure } });
    }
    worker.refuse(refOf(message.value), error);
  }
}

/** Whether an error is of one message: the stream goes on. */
function isRefusal(error: unknown): error is SpoolError {
  return error instanceof SpoolError && (error.reason === "INVALID_ARGUMENT" || error.reason === "OUT_OF_PLACE");
}

function refOf(message: object | undefined): AttemptRef {
  const { taskId = "", attempt = 0 } = (message ?? {}) as Partial<AttemptRef>;
  return { taskId, attempt };
}
