import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import type { DescField, DescMessage, DescMethod, MessageInitShape } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { InvalidArgument, SpoolError } from "../../../src/domain/errors.ts";
import {
  FILTER_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  REQUEST_BYTES_MAX,
  REQUEST_ENTRIES_MAX,
} from "../../../src/domain/limits.ts";
import { TaskStatus } from "../../../src/gen/spool/v1/task_pb.ts";
import {
  ListTasksRequestSchema,
  StartTaskRequestSchema,
  TaskService,
} from "../../../src/gen/spool/v1/task_service_pb.ts";
import { WorkerService } from "../../../src/gen/spool/v1/worker_service_pb.ts";
import { checkBinaryRequest, checkJsonRequest, requestBytesMax } from "../../../src/rpc/validation/request-bounds.ts";
import { scanJson } from "../../../src/codec/json-scan.ts";
import { findTooManyEntries } from "../../../src/codec/protobuf-scan.ts";

const { startTask, getTask, deleteTask, getEvents, streamEvents, listTasks, followTasks } = TaskService.method;

/** The field that a check reports; null: none. */
function fieldOf(check: () => void): string | null {
  try {
    check();
    return null;
  } catch (error) {
    assert.ok(error instanceof SpoolError && error.reason === "INVALID_ARGUMENT", String(error));
    return error instanceof InvalidArgument ? error.violations[0]!.field : "";
  }
}

function start(request: MessageInitShape<typeof StartTaskRequestSchema>): Uint8Array {
  return toBinary(StartTaskRequestSchema, create(StartTaskRequestSchema, request));
}

function values(count: number): null[] {
  return Array.from({ length: count }, () => null);
}

describe("the bounds of a request", () => {
  it("limit the size by method", () => {
    assert.equal(requestBytesMax(startTask), MESSAGE_BYTES_MAX);
    assert.equal(requestBytesMax(WorkerService.method.work), MESSAGE_BYTES_MAX);
    for (const method of [listTasks, followTasks]) assert.equal(requestBytesMax(method), FILTER_BYTES_MAX);
    for (const method of [getTask, deleteTask]) assert.equal(requestBytesMax(method), REQUEST_BYTES_MAX);
    for (const check of [checkBinaryRequest, checkJsonRequest]) {
      assert.equal(
        fieldOf(() => check(getTask, Buffer.alloc(REQUEST_BYTES_MAX, " "))),
        null,
      );
      assert.throws(() => check(getTask, Buffer.alloc(REQUEST_BYTES_MAX + 1, " ")), /at most 16,384 bytes/);
    }
  });

  it("limit the entries at all depths in protobuf", () => {
    const check = (bytes: Uint8Array) => fieldOf(() => checkBinaryRequest(startTask, bytes));
    assert.equal(check(start({ kind: "k", params: { a: values(REQUEST_ENTRIES_MAX - 1) } })), null);
    assert.equal(check(start({ kind: "k", params: { a: values(REQUEST_ENTRIES_MAX) } })), "params");
    const labels = (count: number) => Object.fromEntries(values(count).map((_, index) => [`k${index}`, ""]));
    assert.equal(check(start({ labels: labels(REQUEST_ENTRIES_MAX) })), null);
    assert.equal(check(start({ labels: labels(REQUEST_ENTRIES_MAX + 1) })), "labels");
  });

  it("count packed elements, repeated singular fields and unknown fields", () => {
    const many = REQUEST_ENTRIES_MAX + 1;
    const packed = toBinary(
      ListTasksRequestSchema,
      create(ListTasksRequestSchema, { statuses: values(many).map(() => TaskStatus.PENDING) }),
    );
    assert.equal(
      fieldOf(() => checkBinaryRequest(listTasks, packed)),
      "statuses",
    );
    const unknown = Buffer.alloc(2 * many, Buffer.of(0x78, 1)); // Field 15.
    assert.equal(
      fieldOf(() => checkBinaryRequest(startTask, unknown)),
      "",
    );
    const singular = Buffer.alloc(2 * 8 * many, Buffer.of(0x30, 1)); // max_attempts
    assert.equal(
      fieldOf(() => checkBinaryRequest(startTask, singular)),
      "max_attempts",
    );
  });

  it("leave malformed bytes to the decoder", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.equal(findTooManyEntries(StartTaskRequestSchema, bytes, 10_000), null);
        scanJson(bytes, { valuesMax: 1_000, isInteger: () => true });
      }),
    );
  });

  it("limit the values in JSON, counted exactly", () => {
    const count = (json: unknown): number =>
      typeof json !== "object" || json === null
        ? 1
        : Object.values(json).reduce((sum: number, value) => sum + count(value), 1);
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(0, 2), (text, space) => {
        const value: unknown = JSON.parse(text);
        const bytes = Buffer.from(JSON.stringify(value, null, space));
        const options = { isInteger: () => false };
        assert.equal(scanJson(bytes, { ...options, valuesMax: count(value) }), null);
        assert.equal(scanJson(bytes, { ...options, valuesMax: count(value) - 1 })?.problem, "values");
      }),
    );
  });

  it("name the field with too many values in JSON", () => {
    const check = (text: string) => fieldOf(() => checkJsonRequest(startTask, Buffer.from(text)));
    assert.equal(check(`{"kind":"k","params":{"a":[${"{},".repeat(30_000)}{}]}}`), "params");
    assert.equal(check("[".repeat(1_000_000)), "");
    const labels = Object.fromEntries(values(30_000).map((_, index) => [`k${index}`, ""]));
    assert.equal(check(JSON.stringify({ labels })), "labels");
  });

  it("reject integers that a JSON number cannot hold exactly, unless they are quoted", () => {
    for (const method of [getEvents, streamEvents] as DescMethod[]) {
      const check = (text: string) => fieldOf(() => checkJsonRequest(method, Buffer.from(text)));
      for (const name of ["fromSeq", "from_seq", "from\\u0053eq"]) {
        for (const number of ["9007199254740993", "-9007199254740993", "9.007199254740993e15", "1e300"]) {
          assert.equal(check(`{"taskId":"x", "${name}" : ${number}}`), "from_seq", `${name}: ${number}`);
        }
        for (const number of ["9007199254740991", '"9007199254740993"', "0", "1e3"]) {
          assert.equal(check(`{"${name}":${number},"taskId":"x"}`), null, number);
        }
      }
    }
    const inParams = '{"kind":"k","params":{"n":9007199254740993,"fromSeq":9007199254740993}}';
    assert.equal(
      fieldOf(() => checkJsonRequest(startTask, Buffer.from(inParams))),
      null,
    );
  });

  it("cover every 64-bit integer of a request: none is in a nested message", () => {
    const isInteger = ({ scalar }: DescField) => [3, 4, 6, 16, 18].includes(scalar ?? 0);
    const nested = (desc: DescMessage, seen = new Set<DescMessage>()): DescField[] => {
      if (seen.has(desc) || desc.typeName.startsWith("google.protobuf.")) return [];
      seen.add(desc);
      return desc.fields.flatMap(({ message }) =>
        message
          ? [
              ...message.fields.filter((field) => !message.typeName.startsWith("google.") && isInteger(field)),
              ...nested(message, seen),
            ]
          : [],
      );
    };
    const served = [...TaskService.methods, WorkerService.method.listSessions];
    assert.deepEqual(
      served.flatMap(({ input }) => nested(input)),
      [],
    );
  });
});
