import { signal } from "@preact/signals";
import type { SpoolRpcError } from "../codec/rpc-error.ts";

/** The error with which the server has refused this page's origin, or the host that it was called as; null: it has not. */
export const originRefusal = signal<SpoolRpcError | null>(null);
