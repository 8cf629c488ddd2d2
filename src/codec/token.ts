import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ANY } from "../domain/principal.ts";
import type { Grants } from "../domain/principal.ts";
import type { StoredToken } from "../domain/stored-token.ts";
import { GrantsSchema, TokenSchema } from "../gen/spool/v1/admin_service_pb.ts";
import type { Grants as GrantsMessage, Token as TokenMessage } from "../gen/spool/v1/admin_service_pb.ts";
import { fromLimitsMessage, toLimitsMessage } from "./limits.ts";
import { brokenPromise } from "./rpc-error.ts";
import { fromScopeValue, toScopeValue } from "./scope.ts";
import { readTime, readTimeOrNull, timeFields } from "./timestamp.ts";

export function toTokenMessage({ grants, limits, createdAt, expiresAt, revokedAt, ...token }: StoredToken) {
  return create(TokenSchema, {
    ...token,
    grants: toGrantsMessage(grants),
    limits: toLimitsMessage(limits),
    createdAt: timestampFromDate(createdAt),
    ...timeFields({ expiresAt, revokedAt }),
  });
}

/** @throws SpoolRpcError (DATA_LOSS) if a required field is missing */
export function fromTokenMessage(message: TokenMessage | undefined): StoredToken {
  if (message === undefined) throw brokenPromise("the answer has no token");
  const { tokenId, name, createdBy } = message;
  return {
    tokenId,
    name,
    grants: fromGrantsMessage(message.grants),
    limits: fromLimitsMessage(message.limits),
    createdAt: readTime(message.createdAt, "created_at"),
    createdBy,
    expiresAt: readTimeOrNull(message.expiresAt),
    revokedAt: readTimeOrNull(message.revokedAt),
  };
}

export function toGrantsMessage({ namespaces, scopes, kinds, labels }: Grants): GrantsMessage {
  return create(GrantsSchema, {
    namespaces: [...namespaces],
    scopes: scopes.map(toScopeValue),
    kinds: [...kinds],
    labels: { ...labels },
  });
}

/** Leaves out scopes that this version does not know. @param message undefined: no rights */
function fromGrantsMessage(message: GrantsMessage | undefined): Grants {
  const { namespaces = [], scopes = [], kinds = [], labels = {} } = message ?? {};
  return {
    namespaces,
    scopes: scopes.flatMap((value) => fromScopeValue(value) ?? []),
    kinds: kinds.length > 0 ? kinds : [ANY],
    labels,
    taskId: null,
  };
}
