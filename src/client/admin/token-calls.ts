import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { toLimitsMessage } from "../../codec/limits.ts";
import { fromTokenMessage, toGrantsMessage } from "../../codec/token.ts";
import type { StoredToken } from "../../domain/stored-token.ts";
import { AdminService } from "../../gen/spool/v1/admin_service_pb.ts";
import { RETRY_MS_DEFAULT } from "../retry.ts";
import type { GrpcTransport } from "../transport/grpc-transport.ts";
import { adminCall } from "./admin-call.ts";

export type { StoredToken } from "../../domain/stored-token.ts";

const method = AdminService.method;

/**
 * Creates a token. Not repeated after a lost answer: the token of the first attempt would stay, unknown to all.
 *
 * @returns the token, which cannot be read again
 */
export async function createToken(
  transport: GrpcTransport,
  { name, grants, limits, expiresAt }: Pick<StoredToken, "name" | "grants" | "limits" | "expiresAt">,
): Promise<{ token: string; created: StoredToken }> {
  const request = {
    name,
    grants: toGrantsMessage(grants),
    limits: toLimitsMessage(limits),
    ...(expiresAt && { expiresAt: timestampFromDate(expiresAt) }),
  };
  const { token, created } = await adminCall(transport, method.createToken, request, 0);
  return { token, created: fromTokenMessage(created) };
}

/** Returns the tokens that the caller could have created, newest first, at most 1,000. */
export async function listTokens(
  transport: GrpcTransport,
  { retryMs = RETRY_MS_DEFAULT }: { retryMs?: number } = {},
): Promise<{ tokens: StoredToken[]; hasMore: boolean }> {
  const { tokens, hasMore } = await adminCall(transport, method.listTokens, {}, retryMs);
  return { tokens: tokens.map(fromTokenMessage), hasMore };
}

/** Revokes a token. Repeating this is safe. */
export async function revokeToken(
  transport: GrpcTransport,
  { tokenId, retryMs = RETRY_MS_DEFAULT }: { tokenId: string; retryMs?: number },
): Promise<StoredToken> {
  return fromTokenMessage((await adminCall(transport, method.revokeToken, { tokenId }, retryMs)).token);
}
