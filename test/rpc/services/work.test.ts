import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Client, credentials } from "@grpc/grpc-js";
import { pino } from "pino";
import type { JsonObject } from "../../../src/domain/json.ts";
import { EVENT_BYTES_MAX } from "../../../src/domain/limits.ts";
import { LogLevel, SeriesMode } from "../../../src/gen/spool/v1/event_pb.ts";
import { WorkRequestSchema, WorkResponseSchema } from "../../../src/gen/spool/v1/worker_service_pb.ts";
import type { HelloSchema, NewEventSchema, WorkResponse } from "../../../src/gen/spool/v1/worker_service_pb.ts";
import { openGrpcListener } from "../../../src/server/grpc/grpc-listener.ts";
import type { GrpcListener } from "../../../src/server/grpc/grpc-listener.ts";
import { start, wholeTape } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import type { TestEngine } from "../../support/engines.ts";
import { outline } from "../../support/new-tasks.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";
import { failureOf } from "../raw-client.ts";
import { oneEngine } from "../../support/one-engine.ts";

type Said = NonNullable<MessageInitShape<typeof WorkRequestSchema>["message"]>;
type Told = Exclude<WorkResponse["message"], { case: undefined }>;
type Case = Told["case"];
type ValueOf<C extends Case> = { [T in Told as T["case"]]: T["value"] }[C];

const PATH = "/spool.v1.WorkerService/Work";
const HELLO: MessageInitShape<typeof HelloSchema> = { kinds: [{ name: "remote" }], capacity: 2 };
const log = pino({ level: process.env.SPOOL_LOG_LEVEL ?? "silent" });

/** A worker that speaks the wire, word by word. */
class WireWorker implements Disposable {
  readonly #client: Client;
  readonly #call;
  readonly #answers: AsyncIterator<Buffer>;

  constructor(port: number) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    const asIs = (bytes: Buffer) => bytes;
    this.#call = this.#client.makeBidiStreamRequest(PATH, asIs, asIs);
    this.#call.on("error", () => {}); // Whoever reads sees it.
    this.#answers = (this.#call as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  }

  say(message: Said): void {
    this.bytes(Buffer.from(toBinary(WorkRequestSchema, create(WorkRequestSchema, { message }))));
  }

  bytes(bytes: Buffer): void {
    this.#call.write(bytes);
  }

  /** What it is told next, besides heartbeats; null: the stream has ended well. */
  async next(): Promise<Told | null> {
    for (;;) {
      const { done, value } = await this.#answers.next();
      if (done === true) return null;
      const { message } = fromBinary(WorkResponseSchema, value as Buffer);
      if (message.case !== "heartbeat" && message.case !== undefined) return message;
    }
  }

  async expect<C extends Case>(wanted: C): Promise<ValueOf<C>> {
    const told = await this.next();
    assert.equal(told?.case, wanted);
    return told!.value as ValueOf<C>;
  }

  /** The error that the stream ends with. */
  async failure() {
    const { reason, violations } = await failureOf(this.#rest());
    return [reason, ...violations.map(({ field }) => field)];
  }

  end(): void {
    this.#call.end();
  }

  [Symbol.dispose](): void {
    this.#call.cancel();
    this.#client.close();
  }

  async #rest(): Promise<void> {
    while ((await this.next()) !== null);
  }
}

describe("the stream of a worker", () => {
  let store: TestStore;
  let engine: TestEngine;
  let endpoint: GrpcListener;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());
  beforeEach(async () => {
    engine = await startEngine(store);
    endpoint = await openGrpcListener({ engines: oneEngine(engine), host: "127.0.0.1", port: 0, log });
  });
  afterEach(async () => {
    await endpoint.close({ graceMs: 1_000 });
    await engine[Symbol.asyncDispose]();
  });

  async function welcomed() {
    const worker = new WireWorker(endpoint.port);
    worker.say({ case: "hello", value: HELLO });
    const welcome = await worker.expect("welcome");
    worker.say({ case: "heartbeat", value: {} });
    return { worker, welcome };
  }

  it("starts with Hello and with a Welcome that contains the settings", async () => {
    const { worker, welcome } = await welcomed();
    using _ = worker;
    assert.match(welcome.sessionId, /^[0-9a-f-]{36}$/);
    assert.ok(welcome.resumeToken.startsWith(`${welcome.sessionId}.`) && welcome.resumeToken.length === 80);
    const { resumed, held, windowEvents, windowBytes } = welcome;
    assert.deepEqual(
      { resumed, held, windowEvents, windowBytes },
      { resumed: false, held: [], windowEvents: 4_096, windowBytes: 4 * 1024 * 1024 },
    );
    assert.deepEqual([durationMs(welcome.heartbeatInterval!), durationMs(welcome.lease!)], [2_000, 10_000]);
  });

  it("is refused if another message or invalid bytes come first", async () => {
    for (const say of [
      (worker: WireWorker) => worker.say({ case: "heartbeat", value: {} }),
      (worker: WireWorker) => worker.end(),
    ]) {
      using worker = new WireWorker(endpoint.port);
      say(worker);
      assert.deepEqual(await worker.failure(), ["OUT_OF_PLACE"]);
    }
    using worker = new WireWorker(endpoint.port);
    worker.bytes(Buffer.from([0xff, 0xff]));
    assert.deepEqual(await worker.failure(), ["INVALID_ARGUMENT"]);
    const later = await welcomed();
    later.worker.bytes(Buffer.from([0xff, 0xff]));
    assert.deepEqual(await later.worker.failure(), ["INVALID_ARGUMENT"]);
  });

  it("accepts a Hello only within its bounds and names the invalid field", async () => {
    const offer = (name: string, rest: object = {}) => ({ kinds: [{ name, ...rest }] });
    const wrong: [MessageInitShape<typeof HelloSchema>, ...string[]][] = [
      [{ kinds: [] }, "kinds"],
      [{ kinds: Array.from({ length: 101 }, (_, index) => ({ name: `kind-${index}` })) }, "kinds"],
      [{ kinds: [{ name: "a" }, { name: "a" }] }, "kinds[0].name", "kinds[1].name"],
      [offer(""), "kinds[0].name"],
      [offer("a", { maxAttempts: 101 }), "kinds[0].max_attempts"],
      [offer("a", { maxAttempts: -1 }), "kinds[0].max_attempts"],
      [offer("a", { retryPolicy: { jitter: 2 } }), "kinds[0].retry_policy.jitter"],
      [{ capacity: 0 }, "capacity"],
      [{ capacity: 10_001 }, "capacity"],
      [{ running: [{ taskId: "no id", attempt: 1 }] }, "running[0].task_id"],
      [{ host: "h".repeat(256) }, "host"],
    ];
    for (const [hello, ...fields] of wrong) {
      using worker = new WireWorker(endpoint.port);
      worker.say({ case: "hello", value: { ...HELLO, ...hello } });
      const [reason, ...named] = await worker.failure();
      assert.deepEqual([reason, named.at(-1)], ["INVALID_ARGUMENT", fields.at(-1)]);
    }
    using worker = new WireWorker(endpoint.port);
    const most = { kinds: Array.from({ length: 100 }, (_, index) => ({ name: `kind-${index}` })), capacity: 10_000 };
    worker.say({ case: "hello", value: { ...most, host: "h".repeat(255), resumeToken: "no token of ours" } });
    await worker.expect("welcome");
  });

  it("refuses a misplaced or invalid message as a whole, names the field, and stays open", async () => {
    const { worker } = await welcomed();
    using _ = worker;
    const taskId = await start(engine, { kind: "remote" });
    const { attempt } = await worker.expect("assign");
    const refusal = async (said: Said) => {
      worker.say(said);
      const { reason, message, appended } = await worker.expect("refused");
      assert.equal(appended, 0n);
      return [reason, message.split(":")[0]];
    };
    const append = (events: MessageInitShape<typeof NewEventSchema>[], rest = {}): Said => ({
      case: "append",
      value: { taskId, attempt, firstNumber: 1n, events, ...rest },
    });
    const progress = (value: object) => append([{ body: { case: "progress", value: { phase: "p", ...value } } }]);
    const payload = { text: "x".repeat(EVENT_BYTES_MAX) };
    const series = (value: object) =>
      append([{ body: { case: "partial", value: { kind: "k", payload: { text: 1 }, series: value } } }]);
    const good: MessageInitShape<typeof NewEventSchema> = { body: { case: "progress", value: { phase: "p" } } };
    const finish = (value: object): Said => ({ case: "finish", value: { taskId, attempt, number: 1n, ...value } });
    for (const [said, reason, field] of [
      [{ case: "hello", value: HELLO }, "OUT_OF_PLACE", "duplicate Hello"],
      [{ case: undefined }, "OUT_OF_PLACE", "unknown message"],
      [append([]), "INVALID_ARGUMENT", "events"],
      [append(Array(1_001).fill(good)), "INVALID_ARGUMENT", "events"],
      [append([good], { firstNumber: 0n }), "INVALID_ARGUMENT", "first_number"],
      [append([good], { taskId: "no id" }), "INVALID_ARGUMENT", "task_id"],
      [append([good, {}]), "INVALID_ARGUMENT", "events[1].body"],
      [progress({ phase: "" }), "INVALID_ARGUMENT", "events[0].progress.phase"],
      [progress({ current: -1n }), "INVALID_ARGUMENT", "events[0].progress.current"],
      [progress({ total: 2n ** 53n }), "INVALID_ARGUMENT", "events[0].progress.total"],
      [append([{ body: { case: "log", value: { message: "m" } } }]), "INVALID_ARGUMENT", "events[0].log.level"],
      [append([{ body: { case: "partial", value: { kind: "k", payload } } }]), "INVALID_ARGUMENT", "events[0].partial"],
      [series({ name: "" }), "INVALID_ARGUMENT", "events[0].partial.series.name"],
      [series({ name: "s" }), "INVALID_ARGUMENT", "events[0].partial.series.mode"],
      [
        series({ name: "s", mode: SeriesMode.ALL, field: "text" }),
        "INVALID_ARGUMENT",
        "events[0].partial.series.field",
      ],
      [series({ name: "s", mode: SeriesMode.APPEND }), "INVALID_ARGUMENT", "events[0].partial.payload.text"],
      [append([good], { firstNumber: 2n }), "APPEND_GAP", "first_number"],
      [finish({}), "INVALID_ARGUMENT", "outcome"],
      [finish({ number: 0n, outcome: { case: "result", value: {} } }), "INVALID_ARGUMENT", "number"],
      [finish({ number: 2n, outcome: { case: "result", value: {} } }), "APPEND_GAP", "first_number"],
      [finish({ outcome: { case: "error", value: { reason: "bad" } } }), "INVALID_ARGUMENT", "error.reason"],
    ] as [Said, string, string][]) {
      assert.deepEqual(await refusal(said), [reason, field], field);
    }
    worker.say(append([good, { body: { case: "log", value: { level: LogLevel.WARN, message: "m" } } }]));
    assert.equal((await worker.expect("appended")).through, 2n);
    worker.say(finish({ number: 3n, outcome: { case: "result", value: { done: true } as JsonObject } }));
    await worker.expect("finished");
    assert.deepEqual(outline(await wholeTape(engine, taskId)), ["started", "progress", "log", "final"]);
  });

  it("answers LEASE_LOST for unknown tasks and tasks of other workers", async () => {
    const { worker } = await welcomed();
    using _ = worker;
    const unknown = { taskId: crypto.randomUUID(), attempt: 1 };
    worker.say({
      case: "append",
      value: { ...unknown, firstNumber: 1n, events: [{ body: { case: "progress", value: { phase: "p" } } }] },
    });
    worker.say({ case: "finish", value: { ...unknown, number: 1n, outcome: { case: "released", value: {} } } });
    for (let count = 0; count < 2; count++) assert.equal((await worker.expect("leaseLost")).taskId, unknown.taskId);
    worker.say({ case: "checked", value: { ...unknown } }); // Nobody has asked: it is of no account.
    worker.say({ case: "leave", value: {} });
    assert.equal(await worker.next(), null);
    assert.equal((await engine.listSessions()).sessions.length, 1);
  });

  it("ends with DRAINING when the server drains, and keeps the session for a reconnect", async () => {
    const { worker } = await welcomed();
    using _ = worker;
    await endpoint.close({ graceMs: 1_000 });
    assert.deepEqual(await worker.failure(), ["DRAINING"]);
    assert.equal((await engine.listSessions()).sessions.length, 2);
  });

  it("keeps the session however the stream ends, unless the worker sent Leave", async () => {
    for (const [end, isKept] of [
      [(worker: WireWorker) => worker[Symbol.dispose](), true],
      [(worker: WireWorker) => worker.end(), true],
      [(worker: WireWorker) => worker.say({ case: "leave", value: {} }), false],
    ] as const) {
      const { worker, welcome } = await welcomed();
      end(worker);
      if (!isKept) assert.equal(await worker.next(), null);
      using again = new WireWorker(endpoint.port);
      again.say({ case: "hello", value: { ...HELLO, resumeToken: welcome.resumeToken } });
      const { resumed, sessionId } = await again.expect("welcome");
      assert.deepEqual([resumed, sessionId === welcome.sessionId], [isKept, isKept]);
      worker[Symbol.dispose]();
    }
  });
});
