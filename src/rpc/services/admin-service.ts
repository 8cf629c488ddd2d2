import { create } from "@bufbuild/protobuf";
import { Unimplemented } from "../../domain/errors.ts";
import { abortable } from "../../async/abort.ts";
import { toNamespaceMessage } from "../../codec/namespace.ts";
import { toAuditEventMessage } from "../../codec/audit-event.ts";
import { toTokenMessage } from "../../codec/token.ts";
import type { Principal } from "../../domain/principal.ts";
import { givenLimits, NO_LIMITS } from "../../domain/tenant-limits.ts";
import type { ServiceAdmin } from "../../engine/api/service-admin.ts";
import {
  CreateTokenResponseSchema,
  DoctorCheckStatus,
  ListNamespacesResponseSchema,
  FollowAuditLogResponseSchema,
  ListTokensResponseSchema,
  RevokeTokenResponseSchema,
  RunChecksResponseSchema,
  SetNamespaceResponseSchema,
} from "../../gen/spool/v1/admin_service_pb.ts";
import type { AdminService } from "../../gen/spool/v1/admin_service_pb.ts";
import type { CallContext, ServiceHandlers } from "../call/service.ts";
import { parseFollowAuditLog } from "../validation/parse-audit.ts";
import { parseCreateToken, parseRevokeToken } from "../validation/parse-admin.ts";
import { parseSetNamespace } from "../validation/parse-namespace.ts";

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

/** What the service does besides checks. */
export type AdminCalls = Omit<ServiceAdmin, "createTaskToken">;

/**
 * Implements spool.v1.AdminService.
 *
 * @param runChecks undefined: calls end with UNIMPLEMENTED
 * @param admin undefined: the same for all other calls
 */
export function adminService(
  runChecks: RunChecks | undefined,
  admin: AdminCalls | undefined,
): ServiceHandlers<typeof AdminService> {
  const calls = () => {
    if (admin === undefined) throw new Unimplemented("this server has no administration");
    return admin;
  };
  return {
    async setNamespace(request, context) {
      const state = await calls().setNamespace(principalOf(context), parseSetNamespace(request));
      return create(SetNamespaceResponseSchema, { namespace: toNamespaceMessage(state) });
    },

    async listNamespaces(_request, context) {
      const states = await calls().listNamespaces(principalOf(context));
      return create(ListNamespacesResponseSchema, { namespaces: states.map(toNamespaceMessage) });
    },

    async createToken(request, context) {
      const wanted = parseCreateToken(request, Date.now());
      const by = principalOf(context);
      const limits = givenLimits({ name: by.name, limits: context.identity?.limits ?? NO_LIMITS }, wanted.limits);
      const { token, created } = await calls().createToken(by, { ...wanted, limits });
      return create(CreateTokenResponseSchema, { token, created: toTokenMessage(created) });
    },

    async listTokens(_request, context) {
      const { tokens, hasMore } = await calls().listTokens(principalOf(context));
      return create(ListTokensResponseSchema, { tokens: tokens.map(toTokenMessage), hasMore });
    },

    async revokeToken(request, context) {
      const revoked = await calls().revokeToken(principalOf(context), parseRevokeToken(request));
      return create(RevokeTokenResponseSchema, { token: toTokenMessage(revoked) });
    },

    async *followAuditLog(request, context) {
      const query = parseFollowAuditLog(request);
      for await (const { events, nextFromId } of calls().followAuditLog(principalOf(context), query, context.signal)) {
        yield create(FollowAuditLogResponseSchema, { events: events.map(toAuditEventMessage), nextFromId });
      }
    },

    async runChecks(_request, { signal }) {
      if (runChecks === undefined) throw new Unimplemented("this server has no checks");
      const { checks, ...server } = await abortable(runChecks(), signal); // Other callers may still wait for the report.
      return create(RunChecksResponseSchema, { ...server, checks: checks.map(toCheckMessage) });
    },
  };
}

/** Returns the caller, which the guard requires of every call. */
function principalOf({ identity }: CallContext): Principal {
  return identity!.principal;
}

function toCheckMessage({ name, status, found, todo, section }: CheckReport["checks"][number]) {
  return { name, status: STATUSES[status], found, todo: todo ?? "", section: section ?? "" };
}
