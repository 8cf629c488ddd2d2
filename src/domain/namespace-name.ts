import { NAMESPACE_CHARS_MAX } from "./limits.ts";

/** The names of namespaces. */
export const NAMESPACE_NAME = new RegExp(`^[A-Za-z0-9._-]{1,${NAMESPACE_CHARS_MAX}}$`);
