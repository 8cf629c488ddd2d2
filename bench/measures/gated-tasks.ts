import { randomUUID } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import type { SpoolClient } from "../../src/client/client.ts";
import { StreamEventsRequestSchema } from "../../src/gen/spool/v1/task_service_pb.ts";
import { gated, openGate } from "../kinds.ts";

export const STREAM_EVENTS = "/spool.v1.TaskService/StreamEvents";

/**
 * Starts tasks that emit so many events each once `open` is called: who follows them is there before the first.
 *
 * @param perSecond how fast they emit; undefined: as fast as there is room
 */
export async function startGated(
  client: SpoolClient,
  { tasks, events, perSecond }: { tasks: number; events: number; perSecond?: number },
): Promise<{ taskIds: string[]; open(): Promise<unknown> }> {
  const gate = randomUUID();
  const params = { gate, events, ...(perSecond !== undefined && { per_second: perSecond }) };
  const start = () => client.start({ kind: gated.name, params });
  const started = await Promise.all(Array.from({ length: tasks }, start));
  return {
    taskIds: started.map(({ task }) => task.taskId),
    open: () => client.start({ kind: openGate.name, params: { gate } }),
  };
}

/** A request for StreamEvents from the first event on, as FollowOrder takes it. */
export function followRequest(taskId: string): string {
  const request = create(StreamEventsRequestSchema, { taskId });
  return Buffer.from(toBinary(StreamEventsRequestSchema, request)).toString("base64");
}
