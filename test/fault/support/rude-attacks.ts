import { connect } from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { setTimeout } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  FollowTasksRequestSchema,
  GetTaskRequestSchema,
  ListTasksRequestSchema,
  StartTaskRequestSchema,
} from "../../../src/gen/spool/v1/task_service_pb.ts";

/** Where a server listens. */
export interface Target {
  /** Of the gRPC port. */
  address: string;
  /** Of the HTTP port. */
  url: string;
}

const SERVICE = "/spool.v1.TaskService";
const BYTES = 4 * 1024 * 1024;
/** The RetryInfo of a refusal. */
const RETRY_MS = 250;
/** How many requests of an attack by large requests are under way. */
const AT_ONCE = 4;

/**
 * What one caller does against all others, for as long as the signal has not fired. Answers count by what they say;
 * none is an error of the attack.
 */
export const ATTACKS: Readonly<Record<string, (target: Target, count: Count, signal: AbortSignal) => Promise<void>>> = {
  "JSON: 1.39 million objects": (target, count, signal) => {
    const params = `{"a":[${"{},".repeat(BYTES / 3 - 50)}{}]}`;
    return repeat(() => post(target, "StartTask", `{"kind":"nokind","params":${params}}`), count, signal);
  },
  "JSON: 1 million open lists": (target, count, signal) =>
    repeat(() => post(target, "StartTask", "[".repeat(1_000_000)), count, signal),
  "JSON: 200,000 labels": (target, count, signal) => {
    const labels = Object.fromEntries(Array.from({ length: 200_000 }, (_, index) => [`k${index}`, "v"]));
    return repeat(() => post(target, "StartTask", JSON.stringify({ kind: "echo", labels })), count, signal);
  },
  "protobuf: 4 MB of statuses": (target, count, signal) => {
    const length = BYTES - 5;
    const head = Buffer.of(
      0x1a,
      (length & 0x7f) | 0x80,
      ((length >> 7) & 0x7f) | 0x80,
      ((length >> 14) & 0x7f) | 0x80,
      length >> 21,
    );
    return largeCalls(target, "ListTasks", Buffer.concat([head, Buffer.alloc(length, 1)]), count, signal);
  },
  "protobuf: 1 million nulls": (target, count, signal) => {
    const params = { a: Array.from({ length: 1_000_000 }, () => null) };
    const request = create(StartTaskRequestSchema, { kind: "nokind", params });
    return largeCalls(target, "StartTask", toBinary(StartTaskRequestSchema, request), count, signal);
  },
  "protobuf: 200,000 labels": (target, count, signal) => {
    const labels = Object.fromEntries(Array.from({ length: 200_000 }, (_, index) => [`k${index}`, "v"]));
    const request = create(StartTaskRequestSchema, { kind: "echo", labels });
    return largeCalls(target, "StartTask", toBinary(StartTaskRequestSchema, request), count, signal);
  },
  "10,000 FollowTasks on one connection": async (target, count, signal) => {
    using session = open(target);
    const request = toBinary(FollowTasksRequestSchema, create(FollowTasksRequestSchema, {}));
    for (let index = 0; index < 10_000; index++) void call(session.session, "FollowTasks", request).then(count);
    await fired(signal);
  },
  "500 ListTasks of 1,000 on one connection": async (target, count, signal) => {
    using session = open(target);
    const request = toBinary(ListTasksRequestSchema, create(ListTasksRequestSchema, { pageSize: 1_000 }));
    const work = async () => {
      while (!signal.aborted) {
        const said = await call(session.session, "ListTasks", request);
        count(said);
        if (said === "grpc-status 8") await setTimeout(RETRY_MS);
      }
    };
    await Promise.all(Array.from({ length: 500 }, work));
  },
};

/** The name of what uses the processor as an attack does, and calls no server. */
export const BURN = "burn";

/** What an attacker prints at its end. */
export interface AttackEnd {
  /** How often it was answered how. */
  answers: Record<string, number>;
  /** Of the processor: cores that the process used on average. */
  cpuShare: number;
}

/** Uses so much of a core, in slices that are short against what the scheduler gives a process. */
export async function burn(cpuShare: number, signal: AbortSignal): Promise<void> {
  const begun = performance.now();
  const used = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  };
  const usedBefore = used();
  while (!signal.aborted) {
    while (used() - usedBefore < cpuShare * (performance.now() - begun));
    await setTimeout(1);
  }
}

/** Is told how each request was answered. */
export type Count = (answer: string) => void;

/** One call of another caller. */
export function getTask(session: ClientHttp2Session, taskId: string): Promise<string> {
  return call(session, "GetTask", toBinary(GetTaskRequestSchema, create(GetTaskRequestSchema, { taskId })));
}

async function largeCalls(target: Target, method: string, bytes: Uint8Array, count: Count, signal: AbortSignal) {
  using session = open(target);
  await repeat(() => call(session.session, method, bytes), count, signal);
}

async function repeat(send: () => Promise<string>, count: Count, signal: AbortSignal): Promise<void> {
  const work = async () => {
    while (!signal.aborted) count(await send());
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

async function post({ url }: Target, method: string, body: string): Promise<string> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}${SERVICE}/${method}`, { method: "POST", headers, body });
  const { code } = (await response.json()) as { code?: string };
  return code ?? "ok";
}

function open({ address }: Target): { session: ClientHttp2Session } & Disposable {
  const session = connect(`http://${address}`, { maxSessionMemory: 1_000 });
  session.setMaxListeners(0);
  session.on("error", () => {});
  return { session, [Symbol.dispose]: () => session.destroy() };
}

function call(session: ClientHttp2Session, method: string, message: Uint8Array): Promise<string> {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  const headers = { ":method": "POST", ":path": `${SERVICE}/${method}`, "content-type": "application/grpc" };
  return new Promise((resolve) => {
    const stream = session.request({ ...headers, te: "trailers" });
    let said = "no status";
    const onHeaders = (received: object) => {
      const { "grpc-status": status } = received as Readonly<Record<string, string>>;
      if (status !== undefined) said = `grpc-status ${status}`;
    };
    stream.on("response", onHeaders);
    stream.on("trailers", onHeaders);
    stream.on("error", () => {});
    stream.on("close", () => resolve(said));
    stream.resume();
    stream.end(Buffer.concat([head, message]));
  });
}

function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
