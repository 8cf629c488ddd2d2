import { fromJson, toJson } from "@bufbuild/protobuf";
import { fromTaskMessage, toTaskMessage } from "../codec/task.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import type { TaskView } from "../domain/task.ts";
import { TaskSchema } from "../gen/spool/v1/task_pb.ts";

/** Returns a task as ProtoJSON. */
export function toTaskJson(task: TaskView): JsonObject {
  return toJson(TaskSchema, toTaskMessage(task)) as JsonObject;
}

/** Reads a task from ProtoJSON. @throws Error that names the field that is wrong or missing */
export function fromTaskJson(json: JsonValue): TaskView {
  return fromTaskMessage(fromJson(TaskSchema, json));
}
