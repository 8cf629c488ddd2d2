import { create } from "@bufbuild/protobuf";
import { toSessionMessage } from "../../codec/session.ts";
import type { TaskEngine } from "../../engine/api/task-engine.ts";
import { ListSessionsResponseSchema } from "../../gen/spool/v1/worker_service_pb.ts";
import type { WorkerService } from "../../gen/spool/v1/worker_service_pb.ts";
import type { ServiceHandlers } from "../call/service.ts";
import { work } from "./work.ts";

/** Implements spool.v1.WorkerService over an engine, for every endpoint. */
export function workerService(engine: TaskEngine): ServiceHandlers<typeof WorkerService> {
  return {
    work: (requests, context) => work(engine, requests, context),

    async listSessions() {
      const { sessions, hasMore } = await engine.listSessions();
      return create(ListSessionsResponseSchema, { sessions: sessions.map(toSessionMessage), hasMore });
    },
  };
}
