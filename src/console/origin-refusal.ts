import { signal } from "@preact/signals";
import type { SpoolRpcError } from "../codec/rpc-error.ts";

/** The error with which the server rejected the origin or host of this page; null: none. */
export const originRefusal = signal<SpoolRpcError | null>(null);
