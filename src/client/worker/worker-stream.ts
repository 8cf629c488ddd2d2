import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { WorkerService, WorkRequestSchema, WorkResponseSchema } from "../../gen/spool/v1/worker_service_pb.ts";
import type { HelloSchema, Welcome, WorkResponse } from "../../gen/spool/v1/worker_service_pb.ts";
import { brokenPromise } from "../../codec/rpc-error.ts";
import { outsideAttempts } from "../../telemetry/attempt-context.ts";
import type { DuplexCall, GrpcTransport } from "../transport/grpc-transport.ts";
import type { WorkerAttempt } from "./worker-attempt.ts";

/**
 * How long the first welcome may take, in ms. Later welcomes have the limit of all messages, because a lease is
 * running.
 */
const WELCOME_MS = 20_000;
/** After this many heartbeats without a message, the server counts as lost. */
const SILENT_HEARTBEATS = 3;
/** How many messages are sent in a row before other work of the event loop runs. */
const TURN_MESSAGES = 64;

type Request = NonNullable<MessageInitShape<typeof WorkRequestSchema>["message"]>;

/** One stream of a worker, starting with its hello. */
export class WorkerStream {
  readonly #call: DuplexCall<WorkResponse>;
  readonly #unsent = new Set<WorkerAttempt>();
  #heartbeatMs: number;
  #aliveAt = performance.now();
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
   * Opens a stream and sends the hello.
   *
   * @param heartbeatMs the interval of the previous stream; default: there was none
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

  /** How often each side sends a heartbeat, in ms, as the last welcome says. */
  get heartbeatMs(): number {
    return this.#heartbeatMs;
  }

  /**
   * Yields the messages of the server, the welcome first. Fails as UNAVAILABLE when the server is silent for too long.
   * Ends when the server ends the stream.
   */
  async *messages(): AsyncGenerator<WorkResponse["message"], void, undefined> {
    const beat = () => {
      const silentMs = SILENT_HEARTBEATS * this.#heartbeatMs;
      if (performance.now() - this.#aliveAt >= silentMs) this.#call.giveUp(silentMs);
      else if (!this.#hasLeft) this.say({ case: "heartbeat", value: {} });
    };
    let timer = setInterval(beat, this.#heartbeatMs);
    try {
      for await (const { message } of this.#call.answers) {
        this.#aliveAt = performance.now();
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

  /** Schedules an attempt to be sent, together with all others of this turn of the event loop. */
  onUnsent(attempt: WorkerAttempt): void {
    this.#unsent.add(attempt);
    this.#schedule();
  }

  /** Sends that the worker will not reconnect, and closes this side. */
  leave(): void {
    this.say({ case: "leave", value: {} });
    this.#hasLeft = true;
    this.#call.end();
  }

  #schedule(): void {
    if (this.#isScheduled || !this.#hasRoom) return;
    this.#isScheduled = true;
    // A message may hold events of many attempts: its failure is not the failure of the attempt that asked for it.
    outsideAttempts(() =>
      setImmediate(() => {
        this.#isScheduled = false;
        this.#sendUnsent();
      }),
    );
  }

  /** Sends one message of each attempt in turn, so that a busy attempt does not delay others. */
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
  if (ms <= 0) throw brokenPromise("the welcome has no heartbeat interval");
  return ms;
}
