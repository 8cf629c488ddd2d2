import { NAMESPACE_CHARS_MAX } from "../../domain/limits.ts";

/** The header that chooses the namespace of a call. */
export const NAMESPACE_HEADER = "spool-namespace";

const NAMESPACE = new RegExp(`^[A-Za-z0-9._-]{1,${NAMESPACE_CHARS_MAX}}$`);

/** @throws TypeError for a text that names no namespace */
export function checkNamespace(namespace: string | undefined): void {
  if (namespace === undefined || NAMESPACE.test(namespace)) return;
  throw new TypeError(`namespace: must be 1 to ${NAMESPACE_CHARS_MAX} characters of [A-Za-z0-9._-]`);
}
