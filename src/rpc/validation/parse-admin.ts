import { fromScopeValue } from "../../codec/scope.ts";
import { patternForm, TOKEN_NAME } from "../../domain/grants.ts";
import {
  GRANT_LABELS_MAX,
  GRANT_PATTERNS_MAX,
  KIND_CHARS_MAX,
  NAMESPACE_CHARS_MAX,
  TOKEN_NAME_CHARS_MAX,
} from "../../domain/limits.ts";
import { ANY } from "../../domain/principal.ts";
import type { Grants, Scope } from "../../domain/principal.ts";
import type { StoredToken } from "../../domain/stored-token.ts";
import type {
  CreateTokenRequest,
  Grants as GrantsMessage,
  RevokeTokenRequest,
} from "../../gen/spool/v1/admin_service_pb.ts";
import { Checks } from "./checks.ts";
import { parseTokenLimits } from "./parse-limits.ts";

/** @param now the current Unix time in ms */
export function parseCreateToken(
  request: CreateTokenRequest,
  now: number,
): Pick<StoredToken, "name" | "grants" | "limits" | "expiresAt"> {
  const checks = new Checks();
  const { name, grants, expiresAt, limits } = request;
  if (!TOKEN_NAME.test(name))
    checks.refuse("name", `must be 1 to ${TOKEN_NAME_CHARS_MAX} characters of [A-Za-z0-9._@/-]`);
  const expiry = expiresAt ? checks.timestamp("expires_at", expiresAt) : null;
  if (expiry !== null && expiry.getTime() <= now) checks.refuse("expires_at", "must be in the future");
  return checks.passed({
    name,
    grants: parseGrants(checks.within("grants"), grants),
    limits: parseTokenLimits(checks.within("limits"), limits),
    expiresAt: expiry,
  });
}

/** @returns the token's id in lower case */
export function parseRevokeToken({ tokenId }: RevokeTokenRequest): string {
  const checks = new Checks();
  return checks.passed(checks.taskId(tokenId, "token_id"));
}

/** @param checks of the message */
function parseGrants(checks: Checks, message: GrantsMessage | undefined): Grants {
  const { namespaces = [], scopes = [], kinds = [], labels = {} } = message ?? {};
  if (namespaces.length === 0) checks.refuse("namespaces", "must have at least one entry");
  if (scopes.length === 0) checks.refuse("scopes", "must have at least one entry");
  if (Object.keys(labels).length > GRANT_LABELS_MAX) {
    checks.refuse("labels", `must have at most ${GRANT_LABELS_MAX} entries`);
  }
  return {
    namespaces: patterns(checks, "namespaces", namespaces, NAMESPACE_CHARS_MAX),
    scopes: parseScopes(checks, scopes),
    kinds: kinds.length === 0 ? [ANY] : patterns(checks, "kinds", kinds, KIND_CHARS_MAX),
    labels: checks.labels(labels),
    taskId: null,
  };
}

function patterns(checks: Checks, field: string, values: readonly string[], charsMax: number): string[] {
  if (values.length > GRANT_PATTERNS_MAX) checks.refuse(field, `must have at most ${GRANT_PATTERNS_MAX} entries`);
  const pattern = patternForm(charsMax);
  for (const [index, value] of values.slice(0, GRANT_PATTERNS_MAX).entries()) {
    if (pattern.test(value)) continue;
    checks.refuse(
      `${field}[${index}]`,
      `must be 1 to ${charsMax} characters of [A-Za-z0-9._-], the last of which may be *`,
    );
  }
  return [...new Set(values)];
}

function parseScopes(checks: Checks, values: GrantsMessage["scopes"]): Scope[] {
  const known = values.flatMap((value, index) => {
    const scope = fromScopeValue(value);
    if (scope === undefined) checks.refuse(`scopes[${index}]`, "must be a scope other than UNSPECIFIED");
    return scope ?? [];
  });
  return [...new Set(known)];
}
