import { create } from "@bufbuild/protobuf";
import { Unimplemented } from "../../domain/errors.ts";
import { abortable } from "../../async/abort.ts";
import { DoctorCheckStatus, RunChecksResponseSchema } from "../../gen/spool/v1/admin_service_pb.ts";
import type { AdminService } from "../../gen/spool/v1/admin_service_pb.ts";
import type { ServiceHandlers } from "../call/service.ts";

/** The results of a server's checks. */
export interface CheckReport {
  checks: readonly {
    name: string;
    status: keyof typeof STATUSES;
    found: string;
    todo: string | null;
    section: string | null;
  }[];
  /** The host name of the server. */
  host: string;
  pid: number;
}

/** Runs the checks of a server on its own database, or returns a cached report. */
export type RunChecks = () => Promise<CheckReport>;

const STATUSES = {
  ok: DoctorCheckStatus.OK,
  warn: DoctorCheckStatus.WARN,
  fail: DoctorCheckStatus.FAIL,
  skipped: DoctorCheckStatus.SKIPPED,
} as const;

const missing = () => {
  throw new Unimplemented("not built yet");
};

/** Implements spool.v1.AdminService. @param runChecks undefined: calls end with UNIMPLEMENTED */
export function adminService(runChecks: RunChecks | undefined): ServiceHandlers<typeof AdminService> {
  return {
    createToken: missing,
    listTokens: missing,
    revokeToken: missing,
    setNamespace: missing,
    listNamespaces: missing,
    followAuditLog: missing,

    async runChecks(_request, { signal }) {
      if (runChecks === undefined) throw new Unimplemented("this server has no checks");
      const { checks, ...server } = await abortable(runChecks(), signal); // Other callers may still wait for the report.
      return create(RunChecksResponseSchema, { ...server, checks: checks.map(toCheckMessage) });
    },
  };
}

function toCheckMessage({ name, status, found, todo, section }: CheckReport["checks"][number]) {
  return { name, status: STATUSES[status], found, todo: todo ?? "", section: section ?? "" };
}
