/**
 * Every bound of the service, in one place. A bound has a name, a unit and a test at it and one past it.
 * The proto comments and docs/guarantees.md state the same numbers for users.
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND_MS = 1_000;
const DAY_MS = 24 * 60 * 60 * SECOND_MS;

export const KIND_CHARS_MAX = 128;
export const REQUEST_ID_CHARS_MAX = 256;
export const LABELS_MAX = 32;
export const LABEL_KEY_CHARS_MAX = 63;
export const LABEL_VALUE_CHARS_MAX = 255;
/** As JSON text. */
export const PARAMS_BYTES_MAX = MIB;
/** As protobuf, where numbers are larger: an answer that gives them back stays below MESSAGE_BYTES_MAX. */
export const PARAMS_WIRE_BYTES_MAX = 3 * MIB;
export const TIMEOUT_MS_MIN = 1;
export const TIMEOUT_MS_MAX = 30 * DAY_MS;
export const ATTEMPTS_DEFAULT = 1;
export const ATTEMPTS_MAX = 100;
/** Of a retry policy: each wait, and what one is multiplied by for the next. */
export const BACKOFF_MS_MIN = 1;
export const BACKOFF_MS_MAX = 30 * DAY_MS;
export const BACKOFF_MULTIPLIER_MAX = 100;
export const RUN_AHEAD_MS_MAX = 366 * DAY_MS;
/** How many attempts of a task in a row may end with their process, before the task does. */
export const CRASHES_DEFAULT = 3;
export const CRASHES_MAX = 100;
export const DEADLINE_AHEAD_MS_MAX = 2 * RUN_AHEAD_MS_MAX;
export const CANCEL_REASON_CHARS_MAX = 1_024;

/** One event's body, and the payloads in it, as JSON text and as protobuf. */
export const EVENT_BYTES_MAX = 256 * KIB;
/** A result, as JSON text and as protobuf: with its frame it stays below gRPC's default of 4 MiB a message. */
export const RESULT_BYTES_MAX = 3 * MIB;
export const PHASE_CHARS_MAX = 128;
export const PARTIAL_KIND_CHARS_MAX = 128;
export const ERROR_REASON_CHARS_MAX = 63;
export const ERROR_MESSAGE_CHARS_MAX = 16 * KIB;
/** How deep a JSON value may nest: google.protobuf.Struct readers recurse, and most stop at 100 messages. */
export const JSON_DEPTH_MAX = 32;

/** Of a worker. */
export const WORKER_KINDS_MAX = 100;
export const WORKER_CAPACITY_MAX = 10_000;
export const WORKER_HOST_CHARS_MAX = 255;
/** How many attempts a worker says it holds when it comes back. */
export const WORKER_RUNNING_MAX = 2 * WORKER_CAPACITY_MAX;
export const APPEND_EVENTS_MAX = 1_000;
/** Of one task: what a worker may have sent that is not acknowledged. */
export const APPEND_WINDOW_EVENTS = 4_096;
export const APPEND_WINDOW_BYTES = 4 * MIB;
/** As UTF-8: it is part of a primary key. */
export const EXCLUSIVE_KEY_BYTES_MAX = 1_024;

export const PAGE_EVENTS_DEFAULT = 100;
export const PAGE_EVENTS_MAX = 1_000;
/** The event bodies that one page or frame carries; one event alone may be larger, up to RESULT_BYTES_MAX. */
export const PAGE_BYTES_MAX = MIB;
export const WAIT_MS_MAX = 60 * SECOND_MS;
export const HEARTBEAT_MS_DEFAULT = 15 * SECOND_MS;
export const HEARTBEAT_MS_MIN = SECOND_MS;
export const HEARTBEAT_MS_MAX = 60 * SECOND_MS;

/** Of a stream over many tasks: how long changes are gathered, and what its cursor may take. */
export const INTERVAL_MS_MAX = 60 * SECOND_MS;
export const INTERVAL_MS_DEFAULT = { events: 0, tasks: 500 };
export const CURSOR_CHARS_MAX = 16 * KIB;

export const LIST_TASKS_DEFAULT = 100;
export const LIST_TASKS_MAX = 1_000;
export const LIST_BYTES_MAX = 3 * MIB;
export const LIST_KINDS_MAX = 100;
export const LIST_SESSIONS_MAX = 1_000;
/** Of the counts of what happened of late. */
export const ACTIVITY_WINDOW_MS_DEFAULT = 60 * 60 * SECOND_MS;
export const ACTIVITY_WINDOW_MS_MIN = 60 * SECOND_MS;
export const ACTIVITY_WINDOW_MS_MAX = DAY_MS;
export const ACTIVITY_STEP_MS_MIN = SECOND_MS;
export const ACTIVITY_STEPS_DEFAULT = 120;
export const ACTIVITY_STEPS_MAX = 1_000;
export const ACTIVITY_KINDS_MAX = 100;
/** A gRPC message in either direction, the default of every gRPC library. */
export const MESSAGE_BYTES_MAX = 4 * MIB;
/** The encoded events of one answer: below MESSAGE_BYTES_MAX, with room for the other fields. */
export const ANSWER_BYTES_MAX = 3.5 * MIB;
/** The same of a stream's frame: each reader that stops leaves one in the server. One event alone may be larger. */
export const FRAME_BYTES_MAX = 256 * KIB;
/** What a stream puts ahead of its reader before it waits, unless it is set otherwise; one frame alone may be larger. */
export const WRITE_AHEAD_KIB_DEFAULT = 64;
export const WRITE_AHEAD_KIB_MAX = 64 * KIB;
/** A deadline of a call that is further away counts as none: no timer of Node runs longer. */
export const CALL_TIMEOUT_MS_MAX = 2 ** 31 - 1;
/** An error's texts, each as UTF-8, and its violations together: many clients take 8 KiB of trailers and no more. */
export const ERROR_TEXT_BYTES_MAX = 512;
export const ERROR_VIOLATIONS_BYTES_MAX = 2_560;
