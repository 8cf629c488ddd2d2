// What callers import, whatever transport they use.

export { SpoolRpcError } from "../codec/rpc-error.ts";
export type { RpcCode } from "../codec/rpc-error.ts";
export type { ReconnectNotice } from "./follow/follow.ts";
export type { TasksReconnectNotice } from "./follow/follow-tasks.ts";
export { SeriesReader } from "./follow/series-reader.ts";
export type { SeriesState, SeriesUpdate } from "./follow/series-reader.ts";
export { WaitTimeout } from "./follow/waiter.ts";
export type * from "./spool-client.ts";
export type * from "./types.ts";
export type { JsonObject, JsonValue } from "../domain/json.ts";
export type { TaskFailure, LogLevel } from "../domain/event.ts";
export type { EventView, Series, SeriesMode, SeriesOptions } from "../domain/series.ts";
export type { RetryPolicy } from "../domain/retry.ts";
export type { TaskStatus, TerminalStatus } from "../domain/task.ts";
