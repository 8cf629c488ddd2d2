import type { Limits } from "./tenant-limits.ts";

/**
 * All bounds of the service. Each has a name, a unit, and tests at the bound and one past it. The proto comments and
 * docs/guarantees.md state the same numbers for users.
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const TIB = 1024 * 1024 * MIB;
const SECOND_MS = 1_000;
const DAY_MS = 24 * 60 * 60 * SECOND_MS;

export const KIND_CHARS_MAX = 128;
export const REQUEST_ID_CHARS_MAX = 256;
export const LABELS_MAX = 32;
export const LABEL_KEY_CHARS_MAX = 63;
export const LABEL_VALUE_CHARS_MAX = 255;
/** As JSON text. */
export const PARAMS_BYTES_MAX = MIB;
/** As protobuf, where numbers are larger: an answer with the params stays below MESSAGE_BYTES_MAX. */
export const PARAMS_WIRE_BYTES_MAX = 3 * MIB;
export const TIMEOUT_MS_MIN = 1;
export const TIMEOUT_MS_MAX = 30 * DAY_MS;
export const ATTEMPTS_DEFAULT = 1;
export const ATTEMPTS_MAX = 100;
/** Bounds of a retry policy: each wait, and the factor between waits. */
export const BACKOFF_MS_MIN = 1;
export const BACKOFF_MS_MAX = 30 * DAY_MS;
export const BACKOFF_MULTIPLIER_MAX = 100;
export const RUN_AHEAD_MS_MAX = 366 * DAY_MS;
/** How many attempts of a task in a row may crash before the task fails. */
export const CRASHES_DEFAULT = 3;
export const CRASHES_MAX = 100;
export const DEADLINE_AHEAD_MS_MAX = 2 * RUN_AHEAD_MS_MAX;
/** How long a task is kept after its end, by its own field and by settings. */
export const RETENTION_MS_MIN = SECOND_MS;
export const RETENTION_MS_MAX = 36_500 * DAY_MS;
export const RETENTION_MS_DEFAULT = 30 * DAY_MS;
/** How many kinds may have a retention of their own. */
export const RETENTION_KINDS_MAX = 100;
/** How long one attempt at a removal hook may take. */
export const REMOVAL_HOOK_MS_MAX = 30 * SECOND_MS;
/** How long a removed task is answered with TASK_EXPIRED, and can be deleted again without an error. */
export const REMOVED_MS = 7 * DAY_MS;
export const CANCEL_REASON_CHARS_MAX = 1_024;

/** One event's body, and the payloads in it, as JSON text and as protobuf. */
export const EVENT_BYTES_MAX = 256 * KIB;
/** A result, as JSON text and as protobuf: with its frame it stays below gRPC's default of 4 MiB per message. */
export const RESULT_BYTES_MAX = 3 * MIB;
export const PHASE_CHARS_MAX = 128;
export const PARTIAL_KIND_CHARS_MAX = 128;
export const SERIES_NAME_CHARS_MAX = 128;
export const SERIES_FIELD_CHARS_MAX = 128;
export const ERROR_REASON_CHARS_MAX = 63;
export const ERROR_MESSAGE_CHARS_MAX = 16 * KIB;
/** How deep a JSON value may nest: google.protobuf.Struct readers recurse, and most stop at 100 messages. */
export const JSON_DEPTH_MAX = 32;
/**
 * How many values params may hold: each object, list, text, number, boolean and null counts as one. Decoding,
 * validating and encoding one takes 1 to 3 µs, and nothing else runs meanwhile.
 */
export const PARAMS_VALUES_MAX = 20_000;
/** The same for a result and for an event, which come from a kind's own code. */
export const RESULT_VALUES_MAX = 250_000;

/** Bounds of a worker. */
export const WORKER_KINDS_MAX = 100;
export const WORKER_CAPACITY_MAX = 10_000;
export const WORKER_HOST_CHARS_MAX = 255;
/** How many running attempts a worker may list when it reconnects. */
export const WORKER_RUNNING_MAX = 2 * WORKER_CAPACITY_MAX;
export const APPEND_EVENTS_MAX = 1_000;
/** How many unacknowledged events a worker may have sent for one task. */
export const APPEND_WINDOW_EVENTS = 4_096;
export const APPEND_WINDOW_BYTES = 4 * MIB;
/** As UTF-8: it is part of a primary key. */
export const EXCLUSIVE_KEY_BYTES_MAX = 1_024;

export const PAGE_EVENTS_DEFAULT = 100;
export const PAGE_EVENTS_MAX = 1_000;
/** The most events in a pack. As many as a page of a replay has, so that the page reads one row. Never lower it: reads rely on it. */
export const PACK_EVENTS_MAX = 1_000;
/** The fewest events of a tape that is packed. A pack of fewer would save little. */
export const PACK_EVENTS_MIN = 50;
/** How long after its end a tape is packed. */
export const PACK_AFTER_MS_DEFAULT = 10 * 60_000;
export const PACK_AFTER_MS_MAX = 365 * DAY_MS;
/** The size of event bodies in a pack. One larger event may exceed it. */
export const PACK_BYTES_MAX = MIB;
/** The size of event bodies in one page or frame. One larger event may exceed it, up to RESULT_BYTES_MAX. */
export const PAGE_BYTES_MAX = MIB;
/**
 * The texts and payloads of one folded event, as JSON. As protobuf, they take at most six times as much, which is below
 * ANSWER_BYTES_MAX.
 */
export const FOLDED_BYTES_MAX = 256 * KIB;
/** How many recorded events one page of the folded view may cover. */
export const FOLDED_PAGE_RECORDED_MAX = 20_000;
/** How long stored events may be collected for one page of the folded view before the page is sent. */
export const FOLDED_PAGE_MS_MAX = 500;
export const WAIT_MS_MAX = 60 * SECOND_MS;
export const HEARTBEAT_MS_DEFAULT = 15 * SECOND_MS;
export const HEARTBEAT_MS_MIN = SECOND_MS;
export const HEARTBEAT_MS_MAX = 60 * SECOND_MS;

/** Bounds of a stream over many tasks: how long changes are collected, and the size of its cursor. */
export const INTERVAL_MS_MAX = 60 * SECOND_MS;
export const INTERVAL_MS_DEFAULT = { events: 0, tasks: 500 };
export const CURSOR_CHARS_MAX = 16 * KIB;

export const LIST_TASKS_DEFAULT = 100;
export const LIST_TASKS_MAX = 1_000;
export const LIST_BYTES_MAX = 3 * MIB;
/** The same at the HTTP port, where the library builds an answer in one piece: this size takes 15 to 50 ms. */
export const HTTP_LIST_BYTES_MAX = 512 * KIB;
export const LIST_KINDS_MAX = 100;
/** Length of the task id prefix in a list filter. */
export const TASK_ID_PREFIX_CHARS_MIN = 8;
export const TASK_ID_PREFIX_CHARS_MAX = 36;
export const LIST_SESSIONS_MAX = 1_000;
/** How many of the tasks that it owns and does not run a session stores. */
export const SESSION_STALLED_TASKS_MAX = 100;
/** Bounds of activity reports. */
export const ACTIVITY_WINDOW_MS_DEFAULT = 60 * 60 * SECOND_MS;
export const ACTIVITY_WINDOW_MS_MIN = 60 * SECOND_MS;
export const ACTIVITY_WINDOW_MS_MAX = DAY_MS;
export const ACTIVITY_STEP_MS_MIN = SECOND_MS;
export const ACTIVITY_STEPS_DEFAULT = 120;
export const ACTIVITY_STEPS_MAX = 1_000;
export const ACTIVITY_KINDS_MAX = 100;
/** A gRPC message in either direction: the default of every gRPC library. */
export const MESSAGE_BYTES_MAX = 4 * MIB;
/** A decompressed request of a call that takes neither params nor a filter. */
export const REQUEST_BYTES_MAX = 16 * KIB;
/** A request with a filter: 32 labels and 100 kinds, and a cursor, each character escaped. */
export const FILTER_BYTES_MAX = 128 * KIB;
/** Entries of lists and maps in a request, at all depths, including JSON values: PARAMS_VALUES_MAX plus the rest. */
export const REQUEST_ENTRIES_MAX = PARAMS_VALUES_MAX + 1_000;
/** The same for an event or a result that a worker sends. */
export const WORK_ENTRIES_MAX = RESULT_VALUES_MAX + 1_000;
/** The encoded events of one answer: below MESSAGE_BYTES_MAX, with room for the other fields. */
export const ANSWER_BYTES_MAX = 3.5 * MIB;
/**
 * The same for a frame of a stream: each reader that stops leaves one frame in the server. One larger event may exceed
 * it.
 */
export const FRAME_BYTES_MAX = 256 * KIB;
/** How much a stream writes ahead of its reader before it waits, by default. One larger frame may exceed it. */
export const WRITE_AHEAD_KIB_DEFAULT = 64;
export const WRITE_AHEAD_KIB_MAX = 64 * KIB;
/** How many streams one HTTP/2 connection may cancel in a burst, by default. The rate is a tenth of it per second. */
export const STREAM_RESET_BURST_DEFAULT = 10_000;
export const STREAM_RESET_BURST_MAX = 1_000_000;
/** Calls and streams open at once on one connection, by default. */
export const STREAMS_PER_CONNECTION_DEFAULT = 2_000;
export const STREAMS_PER_CONNECTION_MAX = 100_000;
/** The share of them that may be streams over many tasks. */
export const FOLLOWS_PER_CONNECTION_DEFAULT = 256;
/** Queued reads of one connection, by default, for each type of read. */
export const WAITING_READS_DEFAULT = 512;
export const WAITING_READS_MAX = 10_000;
/**
 * How many tasks a session may own per slot: one whose code runs, and one whose code has ended and whose end is being
 * stored.
 */
export const TASKS_PER_SLOT_MAX = 2;
/** How long a request may take to arrive, by default. */
export const REQUEST_TIMEOUT_MS_DEFAULT = 30 * SECOND_MS;
/** A deadline of a call that is further away counts as none: timers of Node cannot run longer. */
export const CALL_TIMEOUT_MS_MAX = 2 ** 31 - 1;
/** The texts of an error, each as UTF-8, and its violations together: many clients accept at most 8 KiB of trailers. */
export const ERROR_TEXT_BYTES_MAX = 512;
export const ERROR_VIOLATIONS_BYTES_MAX = 2_560;

export const NAMESPACE_CHARS_MAX = 63;
/** How many namespaces may be created. Each server has loops for each of them: see docs/namespaces.md, "Costs". */
export const NAMESPACES_MAX = 1_000;
/** Bounds of a token, and of the rights of a caller. */
export const TOKEN_NAME_CHARS_MAX = 128;
export const GRANT_PATTERNS_MAX = 100;
export const GRANT_LABELS_MAX = 8;
export const LIST_TOKENS_MAX = 1_000;
/** Acts in a message of the audit log. Even with the rights of large tokens as details, it stays within the bytes of a message. */
export const AUDIT_PAGE_MAX = 100;
export const AUDIT_RETENTION_MS_DEFAULT = 90 * 24 * 3_600_000;
/** How long a token for one task is valid. */
export const TASK_TOKEN_TTL_MS_MIN = 1_000;
export const TASK_TOKEN_TTL_MS_DEFAULT = 3_600_000;
export const TASK_TOKEN_TTL_MS_MAX = 7 * 24 * 3_600_000;
/** The least and the greatest value of each limit of a namespace or a token. */
export const TENANT_LIMITS: { readonly [Name in keyof Limits]-?: readonly [min: number, max: number] } = {
  startsPerSecond: [0.001, 1_000_000],
  streams: [1, 1_000_000],
  pendingTasks: [1, 1_000_000_000],
  runningTasks: [1, 1_000_000],
  paramsBytes: [1, PARAMS_BYTES_MAX],
  eventsPerTask: [1, 1_000_000_000],
  bytesPerTask: [1, TIB],
  storedBytes: [1, 1_024 * TIB],
};
