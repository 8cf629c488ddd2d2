import type { DescMessage, DescMethod, DescService, MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Scope } from "../../src/gen/spool/v1/access_pb.ts";
import { AdminService } from "../../src/gen/spool/v1/admin_service_pb.ts";
import { TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import { WorkerService } from "../../src/gen/spool/v1/worker_service_pb.ts";
import { OWN } from "./served.ts";

export const SERVICES: readonly DescService[] = [TaskService, WorkerService, AdminService];

const { kind, labels, namespace } = OWN;

type Requests<Service extends DescService> = {
  [Name in keyof Service["method"]]: (taskId: string) => MessageInitShape<Service["method"][Name]["input"]>;
};

/** A valid request of each call: it names the task, and the kind, the labels and the namespace where it can. */
const TASK_REQUESTS: Requests<typeof TaskService> = {
  startTask: () => ({ kind, labels }),
  getTask: (taskId) => ({ taskId }),
  runTask: () => ({ start: { kind, labels } }),
  listTasks: () => ({ kinds: [kind], labels, pageSize: 1 }),
  cancelTask: (taskId) => ({ taskId, reason: "enough" }),
  deleteTask: (taskId) => ({ taskId }),
  getEvents: (taskId) => ({ taskId }),
  streamEvents: (taskId) => ({ taskId }),
  getResult: (taskId) => ({ taskId }),
  followTasks: () => ({ kinds: [kind], labels }),
  createTaskToken: (taskId) => ({ taskId, scopes: [Scope.TASKS_READ], ttl: durationFromMs(60_000) }),
  getActivity: () => ({ kinds: [kind], window: durationFromMs(60_000), step: durationFromMs(1_000) }),
};

const WORKER_REQUESTS: Requests<typeof WorkerService> = {
  work: () => ({ message: { case: "hello", value: { kinds: [{ name: kind }], capacity: 1, draining: true } } }),
  listSessions: () => ({}),
};

const ADMIN_REQUESTS: Requests<typeof AdminService> = {
  runChecks: () => ({}),
  createToken: () => ({
    name: "a-caller",
    grants: { namespaces: [namespace], scopes: [Scope.ADMIN], kinds: [kind], labels },
  }),
  listTokens: () => ({}),
  revokeToken: (tokenId) => ({ tokenId }),
  setNamespace: () => ({ name: namespace }),
  listNamespaces: () => ({}),
  followAuditLog: () => ({}),
};

type Build = (id: string) => MessageInitShape<DescMessage>;

const REQUESTS: Readonly<Record<string, Readonly<Record<string, Build>>>> = {
  [TaskService.typeName]: TASK_REQUESTS as unknown as Record<string, Build>,
  [WorkerService.typeName]: WORKER_REQUESTS as unknown as Record<string, Build>,
  [AdminService.typeName]: ADMIN_REQUESTS as unknown as Record<string, Build>,
};

/** Returns a request of a call about a task. @throws Error if the matrix has none: add it above */
export function requestOf(method: DescMethod, taskId: string): MessageInitShape<DescMessage> {
  const build = REQUESTS[method.parent.typeName]?.[method.localName];
  if (build === undefined) throw new Error(`test/access/requests.ts has no request of ${method.name}`);
  return build(taskId);
}
