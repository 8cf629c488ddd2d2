import type { JWTPayload } from "jose";
import * as v from "valibot";
import { intersect } from "../../domain/grants.ts";
import { GRANT_LABELS_MAX, GRANT_PATTERNS_MAX, LABEL_VALUE_CHARS_MAX } from "../../domain/limits.ts";
import { SCOPES } from "../../domain/principal.ts";
import type { Grants, Principal } from "../../domain/principal.ts";

const NAME_CHARS_MAX = 256;

const TEXTS = v.optional(v.pipe(v.array(v.string()), v.maxLength(GRANT_PATTERNS_MAX)));
const CLAIMS = v.object({
  // A name is shown in logs and headers: no control characters.
  sub: v.pipe(v.string(), v.minLength(1), v.maxLength(NAME_CHARS_MAX), v.regex(/^[^\p{Cc}\p{Cs}]+$/u)),
  scope: v.optional(v.string()),
  spool_namespaces: TEXTS,
  spool_kinds: TEXTS,
  spool_labels: v.optional(
    v.pipe(
      v.record(v.string(), v.pipe(v.string(), v.maxLength(LABEL_VALUE_CHARS_MAX))),
      v.check((labels) => Object.keys(labels).length <= GRANT_LABELS_MAX),
    ),
  ),
});

/**
 * Returns the caller of a verified token. Its claims narrow the rights of the issuer, and never add to them. Scopes of
 * other services are ignored.
 *
 * @returns null: a claim has another form, or a label has another value than the issuer's
 */
export function principalOf(payload: JWTPayload, grants: Grants): Principal | null {
  const claims = v.safeParse(CLAIMS, payload);
  if (!claims.success) return null;
  const { sub, scope, spool_namespaces: namespaces, spool_kinds: kinds, spool_labels: labels } = claims.output;
  const words = scope?.split(" ");
  const narrowed = intersect(grants, {
    ...(words && { scopes: SCOPES.filter((known) => words.includes(known)) }),
    ...(namespaces && { namespaces }),
    ...(kinds && { kinds }),
    ...(labels && { labels }),
  });
  return narrowed && { ...narrowed, name: sub };
}
