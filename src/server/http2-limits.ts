import type { SecureServerOptions } from "node:http2";

/** The options of Node's HTTP/2 servers that bound what one connection may do. */
export type Http2Limits = Required<
  Pick<SecureServerOptions, "maxSessionMemory" | "maxSessionRejectedStreams" | "streamResetBurst" | "streamResetRate">
>;

/** Units of a megabyte; the most that Node's option can hold. */
const UNBOUNDED = 2 ** 32 - 1;
/** A burst that was used up is available again after so long. */
const RESET_REFILL_S = 10;

/**
 * Returns the bounds of an HTTP/2 connection, the same at both endpoints.
 *
 * The memory of a connection has no bound of its own: past Node's 10 MB every further call on the connection would be
 * refused, although only some of its streams have stopped reading. Each stream is bounded instead, by one frame and the
 * write-ahead.
 *
 * A peer that opens streams and cancels them at once makes the server work without ever having many streams open (the
 * "rapid reset" attack, CVE-2023-44487). Past the burst, Node closes the connection with GOAWAY, and all its streams
 * with it: also those of other callers behind the same proxy. So the burst has to be more than a proxy cancels at once
 * when its callers leave.
 *
 * A stream that was cancelled counts as open until Node has let go of it. So a peer that cancels a thousand streams and
 * opens others has some of them refused, without having too many open; past 100 refused, Node would close the connection.
 *
 * @param streamResetBurst how many streams a connection may cancel at once; a tenth as many a second from then on
 */
export function http2Limits(streamResetBurst: number): Http2Limits {
  return {
    maxSessionMemory: UNBOUNDED,
    maxSessionRejectedStreams: streamResetBurst,
    streamResetBurst,
    streamResetRate: Math.ceil(streamResetBurst / RESET_REFILL_S),
  };
}
