import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { inspect } from "node:util";
import { toBinary } from "@bufbuild/protobuf";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { pino } from "pino";
import * as errors from "../../src/domain/errors.ts";
import { ERROR_TEXT_BYTES_MAX } from "../../src/domain/limits.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { ErrorReasonSchema } from "../../src/gen/spool/v1/errors_pb.ts";
import { callCancelled, callDeadlineExceeded, CODES, toRpcError } from "../../src/rpc/errors.ts";
import type { RpcError } from "../../src/rpc/errors.ts";
import { toGrpcStatus } from "../../src/rpc/grpc/grpc-status.ts";
import { openLog } from "../../src/server/log/logging.ts";
import { ODD_THROWS } from "../support/odd-throws.ts";

const TASK_ID = "018f3a5c-7b1e-7c3d-9a2b-0123456789ab";

/** What every client takes in trailers, by the default of the strictest. */
const TRAILERS_BYTES_MAX = 8_192;

function convert(thrown: unknown): { error: RpcError; lines: string[] } {
  const lines: string[] = [];
  const error = toRpcError(thrown, pino({}, { write: (line) => lines.push(line) }));
  return { error, lines };
}

function detail<Desc extends DescMessage>({ details }: RpcError, desc: Desc): MessageShape<Desc> | undefined {
  return details.find((candidate) => candidate.desc === (desc as DescMessage))?.value as MessageShape<Desc> | undefined;
}

function reasonOf(thrown: unknown): string | undefined {
  return detail(convert(thrown).error, ErrorInfoSchema)?.reason;
}

describe("the reasons of errors", () => {
  it("are the same in the proto and in the domain", () => {
    const documented = ErrorReasonSchema.values.map(({ name }) => name.replace("ERROR_REASON_", ""));
    assert.deepEqual(documented.filter((name) => name !== "UNSPECIFIED").sort(), Object.keys(CODES).sort());
  });

  it("have the code that the proto's comment begins with", () => {
    const proto = readFileSync(join(import.meta.dirname, "../../proto/spool/v1/errors.proto"), "utf8");
    const documented = [...proto.matchAll(/\/\/ ([A-Z_]+)[.,].*\n(?: *\/\/.*\n)*? *ERROR_REASON_([A-Z_]+) = \d+;/g)];
    assert.equal(documented.length, Object.keys(CODES).length);
    for (const [, code, reason] of documented) {
      const name = Code[CODES[reason as errors.Reason]].replace("Canceled", "Cancelled");
      assert.equal(name.replace(/(?<!^)[A-Z]/g, "_$&").toUpperCase(), code, reason);
    }
  });
});

describe("an error of the domain", () => {
  const TABLE: [error: errors.SpoolError, code: Code, metadata: Record<string, string>, retryMs?: number][] = [
    [new errors.KindUnknown("x", ["echo"]), Code.InvalidArgument, { kind: "x" }],
    [new errors.TaskNotFound(TASK_ID), Code.NotFound, { task_id: TASK_ID }],
    [
      new errors.TaskExpired(TASK_ID, new Date(0)),
      Code.NotFound,
      { task_id: TASK_ID, removed_at: "1970-01-01T00:00:00.000Z" },
    ],
    [
      new errors.TaskNotTerminal(TASK_ID, "running"),
      Code.FailedPrecondition,
      { task_id: TASK_ID, current_status: "running" },
    ],
    [
      new errors.RequestIdReused("r", TASK_ID, ["labels", "timeout"]),
      Code.AlreadyExists,
      { request_id: "r", task_id: TASK_ID, differs: "labels, timeout" },
    ],
    [
      new errors.SeqOutOfRange(TASK_ID, 1_000n, 4n),
      Code.OutOfRange,
      { task_id: TASK_ID, from_seq: "1000", last_seq: "4" },
    ],
    [new errors.LeaseLost(TASK_ID), Code.Aborted, { task_id: TASK_ID }],
    [new errors.StoreUnavailable(new Error("at 10.0.0.7")), Code.Unavailable, {}, 1_000],
    [new errors.Draining(), Code.Unavailable, {}, 1_000],
    [new errors.Overloaded("events"), Code.ResourceExhausted, {}, 250],
    [new errors.Unauthenticated("missing"), Code.Unauthenticated, { token: "missing" }],
    [new errors.Unauthenticated("wrong"), Code.Unauthenticated, { token: "wrong" }],
    [callDeadlineExceeded(), Code.DeadlineExceeded, {}],
    [callCancelled(), Code.Canceled, {}],
  ];
  for (const [thrown, code, metadata, retryMs] of TABLE) {
    it(`keeps its reason, ${thrown.reason}, and its details`, () => {
      const { error, lines } = convert(thrown);
      assert.equal(error.code, code);
      assert.equal(error.message, thrown.message);
      const info = detail(error, ErrorInfoSchema)!;
      assert.deepEqual([info.domain, info.reason, info.metadata], ["spool", thrown.reason, metadata]);
      const delay = detail(error, RetryInfoSchema)?.retryDelay;
      assert.equal(delay && durationMs(delay), retryMs);
      assert.deepEqual(lines, []);
    });
  }

  it("names the invalid fields", () => {
    const violations = [
      { field: "limit", description: "must be 1 to 1,000" },
      { field: "wait", description: "must be 0 s to 60 s" },
    ];
    const { error } = convert(new errors.InvalidArgument(violations));
    const fields = detail(error, BadRequestSchema)!.fieldViolations;
    assert.deepEqual(
      fields.map(({ field, description }) => ({ field, description })),
      violations,
    );
  });
});

describe("an unknown error", () => {
  for (const thrown of [new TypeError("a secret"), "a secret", undefined, { message: "a secret" }]) {
    it(`is INTERNAL and hides its text: ${inspect(thrown).split("\n")[0]}`, () => {
      const { error, lines } = convert(thrown);
      assert.equal(error.code, Code.Internal);
      assert.doesNotMatch(JSON.stringify(error.message), /secret/);
      const { reason, metadata } = detail(error, ErrorInfoSchema)!;
      assert.equal(reason, "INTERNAL");
      assert.equal((JSON.parse(lines[0]!) as Record<string, unknown>)["error_id"], metadata["error_id"]);
      assert.match(error.message, new RegExp(metadata["error_id"]!));
    });
  }

  it("is hidden also if its reason is INTERNAL", () => {
    const { error, lines } = convert(new errors.SpoolError("INTERNAL", "a secret"));
    assert.doesNotMatch(error.message, /secret/);
    assert.equal(lines.length, 1);
  });
});

describe("an aborted call", () => {
  it("is reported by the reason of its signal, which functions of Node wrap", async () => {
    for (const reason of [callDeadlineExceeded(), callCancelled(), new errors.Draining()]) {
      const thrown: unknown = await setTimeout(60_000, null, { signal: AbortSignal.abort(reason) }).catch(
        (error: unknown) => error,
      );
      assert.equal(reasonOf(thrown), reason.reason);
    }
  });

  it("is reported by the reasons that Connect gives a signal", () => {
    assert.equal(reasonOf(new ConnectError("late", Code.DeadlineExceeded)), "CALL_DEADLINE_EXCEEDED");
    assert.equal(reasonOf(new ConnectError("gone", Code.Canceled)), "CALL_CANCELLED");
    assert.equal(reasonOf(new ConnectError("gone", Code.Aborted)), "CALL_CANCELLED");
  });

  it("is an internal error if another operation was aborted", () => {
    assert.equal(reasonOf(new DOMException("a fetch", "AbortError")), "INTERNAL");
    assert.equal(reasonOf(AbortSignal.timeout(1).reason), "INTERNAL");
  });
});

describe("an error on the wire", () => {
  function trailersBytes(error: RpcError): number {
    const { details, metadata } = toGrpcStatus(error);
    const [status] = metadata.get("grpc-status-details-bin") as Buffer[];
    return encodeURI(details).length + Math.ceil(status!.length / 3) * 4;
  }

  const LONG = "€".repeat(100_000);
  it("fits the trailers of every client, whatever a caller sent", () => {
    const violations = Array.from({ length: 100 }, () => ({ field: LONG, description: LONG }));
    const { error } = convert(new errors.InvalidArgument(violations));
    assert.ok(trailersBytes(error) < TRAILERS_BYTES_MAX, String(trailersBytes(error)));
    const { fieldViolations } = detail(error, BadRequestSchema)!;
    assert.ok(fieldViolations.length > 2);
    assert.equal(fieldViolations.at(-1)!.description, `and ${101 - fieldViolations.length} more`);
    const reused = convert(new errors.RequestIdReused("😀".repeat(256), TASK_ID, ["params"])).error;
    assert.ok(trailersBytes(reused) < TRAILERS_BYTES_MAX);
    const unknown = convert(
      new errors.KindUnknown(
        "k".repeat(128),
        Array.from({ length: 1_000 }, () => "kind"),
      ),
    ).error;
    assert.ok(trailersBytes(unknown) < TRAILERS_BYTES_MAX);
  });

  it("contains only whole characters, cut or not", () => {
    for (const text of [LONG, "😀".repeat(1_000), `a${"😀".repeat(1_000)}`, "\ud800", `${"x".repeat(600)}\ud800`]) {
      const { error } = convert(new errors.SpoolError("OVERLOADED", text, { metadata: { text } }));
      assert.ok(error.message.isWellFormed());
      assert.ok(Buffer.byteLength(error.message) <= ERROR_TEXT_BYTES_MAX);
      assert.ok(detail(error, ErrorInfoSchema)!.metadata["text"]!.isWellFormed());
      for (const { desc, value } of error.details) toBinary(desc, value);
    }
  });

  it("is INTERNAL for anything that a kind throws while it validates params", () => {
    const log = openLog({ level: "info", namespace: "test", destination: { write: () => {} } });
    for (const { name, make } of ODD_THROWS) {
      assert.equal(toRpcError(make(), log).code, Code.Internal, name);
    }
  });

  it("is not cut below its bound", () => {
    for (const text of ["x".repeat(ERROR_TEXT_BYTES_MAX), "€".repeat(170), "short"]) {
      assert.equal(convert(new errors.SpoolError("OVERLOADED", text)).error.message, text);
    }
    assert.match(convert(new errors.SpoolError("OVERLOADED", "x".repeat(513))).error.message, /^x{509}…$/);
  });
});
