import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Scope } from "../../../src/gen/spool/v1/access_pb.ts";
import { CreateTaskTokenRequestSchema } from "../../../src/gen/spool/v1/task_service_pb.ts";
import { parseCreateTaskToken } from "../../../src/rpc/validation/parse-task-token.ts";
import { TASK_ID } from "../fake-engine.ts";

const DAY_MS = 24 * 3_600_000;

function parse(fields: MessageInitShape<typeof CreateTaskTokenRequestSchema>) {
  return parseCreateTaskToken(create(CreateTaskTokenRequestSchema, { taskId: TASK_ID, ...fields }));
}

describe("CreateTaskToken", () => {
  it("gives a token that reads the task for an hour, unless told otherwise", () => {
    assert.deepEqual(parse({ taskId: TASK_ID.toUpperCase() }), {
      taskId: TASK_ID,
      scopes: ["tasks:read"],
      ttlMs: 3_600_000,
    });
    const scopes = [Scope.TASKS_CANCEL, Scope.TASKS_READ, Scope.TASKS_CANCEL];
    assert.deepEqual(parse({ scopes }).scopes, ["tasks:cancel", "tasks:read"]);
  });

  it("takes a ttl of 1 s to 7 days", () => {
    for (const ttlMs of [1_000, 7 * DAY_MS]) assert.equal(parse({ ttl: durationFromMs(ttlMs) }).ttlMs, ttlMs);
    const violations = [{ field: "ttl", description: "must be 1 s to 7 days" }];
    for (const ttlMs of [999, 7 * DAY_MS + 1, -1, 0]) {
      assert.throws(() => parse({ ttl: durationFromMs(ttlMs) }), { violations });
    }
  });

  it("takes no scopes besides reading and cancelling, and only ids of tasks", () => {
    const description = "must be SCOPE_TASKS_READ or SCOPE_TASKS_CANCEL";
    const others = [Scope.UNSPECIFIED, Scope.TASKS_START, Scope.TASKS_DELETE, Scope.WORK, Scope.METRICS, Scope.ADMIN];
    for (const scope of [...others, 99 as Scope]) {
      const violations = [{ field: "scopes[1]", description }];
      assert.throws(() => parse({ scopes: [Scope.TASKS_READ, scope] }), { violations });
    }
    const violations = [{ field: "task_id", description: "must be a UUID of 36 characters" }];
    assert.throws(() => parse({ taskId: "1" }), { violations });
  });
});
