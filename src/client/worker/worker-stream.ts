import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { WorkerService, WorkRequestSchema, WorkResponseSchema } from "../../gen/spool/v1/worker_service_pb.ts";
import type { HelloSchema, Welcome, WorkResponse } from "../../gen/spool/v1/worker_service_pb.ts";
import { brokenPromise } from "../../codec/rpc-error.ts";
import type { DuplexCall, GrpcTransport } from "../transport/grpc-transport.ts";
import type { WorkerAttempt } from "./worker-attempt.ts";

/** How long the server may take for a worker's first welcome. A later one is waited for like all else: a lease runs. */
const WELCOME_MS = 20_000;
/** A server that was silent for so many heartbeats is not there any more. */
const SILENT_HEARTBEATS = 3;
/** How many messages are written in a row before others have their turn. */
const TURN_MESSAGES = 64;

type Request = NonNullable<MessageInitShape<typeof WorkRequestSchema>["message"]>;

/** One stream of a worker, from its hello on. */
export class WorkerStream {
  readonly #call: DuplexCall<WorkResponse>;
  readonly #unsent = new Set<WorkerAttempt>();
  #heartbeatMs: number;
  #heardAt = performance.now();
  #hasRoom = true;
  #isScheduled = false;
  #hasLeft = false;

  private constructor(call: DuplexCall<WorkResponse>, heartbeatMs: number) {
    this.#call = call;
    this.#heartbeatMs = heartbeatMs;
    call.onRoom(() => {
      this.#hasRoom = true;
      this.#schedule();
    });
  }

  /**
   * Says hello.
   *
   * @param heartbeatMs of the stream before it; left out: there was none
   * @throws SpoolRpcError
   */
  static open(
    transport: GrpcTransport,
    hello: MessageInitShape<typeof HelloSchema>,
    { heartbeatMs = WELCOME_MS / SILENT_HEARTBEATS, signal }: { heartbeatMs?: number | undefined; signal: AbortSignal },
  ): WorkerStream {
    const read = (bytes: Buffer) => fromBinary(WorkResponseSchema, bytes);
    const stream = new WorkerStream(transport.duplex(WorkerService.method.work, { signal, read }), heartbeatMs);
    stream.say({ case: "hello", value: hello });
    return stream;
  }

  /** How often each side shows the other that it lives: as the server has said, once it has. */
  get heartbeatMs(): number {
    return this.#heartbeatMs;
  }

  /**
   * Everything that the server says, the welcome first. It fails as UNAVAILABLE when the server has been silent for too
   * long, and ends when the server ends the stream.
   */
  async *messages(): AsyncGenerator<WorkResponse["message"], void, undefined> {
    const beat = () => {
      const silentMs = SILENT_HEARTBEATS * this.#heartbeatMs;
      if (performance.now() - this.#heardAt >= silentMs) this.#call.giveUp(silentMs);
      else if (!this.#hasLeft) this.say({ case: "heartbeat", value: {} });
    };
    let timer = setInterval(beat, this.#heartbeatMs);
    try {
      for await (const { message } of this.#call.answers) {
        this.#heardAt = performance.now();
        if (message.case === "welcome") {
          clearInterval(timer);
          this.#heartbeatMs = heartbeatOf(message.value);
          timer = setInterval(beat, this.#heartbeatMs);
        }
        yield message;
      }
    } finally {
      clearInterval(timer);
    }
  }

  say(message: Request): void {
    this.#call.send(toBinary(WorkRequestSchema, create(WorkRequestSchema, { message })));
  }

  /** An attempt has something to send. What others bring in this turn of the event loop goes with it. */
  onUnsent(attempt: WorkerAttempt): void {
    this.#unsent.add(attempt);
    this.#schedule();
  }

  /** Says that the worker will not come back, and closes this side. */
  leave(): void {
    this.say({ case: "leave", value: {} });
    this.#hasLeft = true;
    this.#call.end();
  }

  #schedule(): void {
    if (this.#isScheduled || !this.#hasRoom) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#sendUnsent();
    });
  }

  /** A message an attempt in turn, so that none waits for another's flood. */
  #sendUnsent(): void {
    for (let count = 0; count < TURN_MESSAGES && this.#hasRoom;) {
      const [attempt] = this.#unsent;
      if (attempt === undefined) return;
      this.#unsent.delete(attempt);
      const bytes = attempt.takeUnsent();
      if (bytes === null) continue;
      this.#unsent.add(attempt);
      this.#hasRoom = this.#call.send(bytes);
      count++;
    }
    this.#schedule();
  }
}

function heartbeatOf({ heartbeatInterval }: Welcome): number {
  const ms = heartbeatInterval === undefined ? 0 : durationMs(heartbeatInterval);
  if (ms <= 0) throw brokenPromise("a welcome without a heartbeat interval");
  return ms;
}
