import type { SecureServerOptions } from "node:http2";

/** The options of Node's HTTP/2 servers that bound what one connection may do. */
export type Http2Limits = Required<
  Pick<SecureServerOptions, "maxSessionMemory" | "maxSessionRejectedStreams" | "streamResetBurst" | "streamResetRate">
>;

/** In MB: the largest value of Node's option. */
const UNBOUNDED = 2 ** 32 - 1;
/** How long it takes until a used burst is available again. */
const RESET_REFILL_S = 10;

/**
 * Returns the bounds of an HTTP/2 connection, the same at both endpoints.
 *
 * The memory of a connection is not bounded: past Node's default of 10 MB, Node would refuse every further call on the
 * connection, although only some streams have stopped reading. Each stream is bounded instead, by one frame and the
 * write-ahead.
 *
 * A peer that opens streams and cancels them at once makes the server work without ever having many streams open (the
 * "rapid reset" attack, CVE-2023-44487). Past the burst, Node closes the connection with GOAWAY and all its streams,
 * including those of other callers behind the same proxy. So the burst must be larger than what a proxy cancels at once
 * when its callers disconnect.
 *
 * A cancelled stream counts as open until Node has released it. So Node refuses some new streams of a peer that cancels
 * a thousand and opens others, although few are open. Past 100 refusals, Node's default would close the connection.
 *
 * @param streamResetBurst how many streams a connection may cancel at once, refilled by a tenth each second
 */
export function http2Limits(streamResetBurst: number): Http2Limits {
  return {
    maxSessionMemory: UNBOUNDED,
    maxSessionRejectedStreams: streamResetBurst,
    streamResetBurst,
    streamResetRate: Math.ceil(streamResetBurst / RESET_REFILL_S),
  };
}
