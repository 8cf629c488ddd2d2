import { POLL_MS } from "../engine/attempt/claimer.ts";
import { VALIDATE_MS } from "../engine/maintenance/task-validator.ts";
import { RENEWALS } from "../engine/cluster/session.ts";
import { SWEEP_MS } from "../engine/maintenance/sweeper.ts";
import { ANSWER_MS_MAX } from "../store/connection/named-client.ts";
import { IDLE_IN_TRANSACTION_MS_MAX } from "../store/connection/session-check.ts";
import { CONNECTIONS_MAX_DEFAULT } from "../store/database.ts";

// The bounds of warnings and failures. A broken promise is a failure; twice the normal time of a loop is a warning.

/** The oldest supported version. */
export const POSTGRES_VERSION_MIN = 150_000;

/** One round trip, in ms. Every commit takes one. At `warn` starts feel slow; at `fail` loops of 1 s fall behind. */
export const ROUND_TRIP_MS = { warn: 50, fail: 1_000 };

/** Difference of this machine's and the database's clock, in ms. Deadlines and run_at of callers here are off by it. */
export const CLOCK_DIFFERENCE_MS = { warn: 1_000, fail: 60_000 };

/** The connections of one server: its pool, and one for LISTEN. With fewer left, another server cannot start. */
export const SERVER_CONNECTIONS = CONNECTIONS_MAX_DEFAULT + 1;

/**
 * How long a transaction may be idle with locks on Spool's tables. Spool's own transactions end at `warn`. At `fail`
 * a cancel of a task whose row is locked misses the promised 10 s.
 */
export const IDLE_TRANSACTION_MS = { warn: IDLE_IN_TRANSACTION_MS_MAX, fail: 10_000 };
/** How long a transaction may be active. Spool cancels its own statements by then. */
export const LONG_TRANSACTION_MS = ANSWER_MS_MAX;

/**
 * How long a transaction may keep an old snapshot. At 2,000 tasks a second, indexes have 600,000 entries of dead rows at
 * `warn`.
 */
export const HORIZON_MS = { warn: 5 * 60_000, fail: 60 * 60_000 };
/** The same for a replication slot, of which only the number of transactions is known. */
export const HORIZON_XIDS = { warn: 1_000_000, fail: 50_000_000 };
/** The fewest dead rows of a table that are reported, if they are five times as many as autovacuum allows. */
export const DEAD_ROWS = 100_000;
/**
 * The age of rows that are not frozen, in transactions. Autovacuum begins at 200 million, ignores its limits at 1,600
 * million, and Postgres refuses to write at 2,100 million.
 */
export const UNFROZEN_XIDS = { warn: 500_000_000, fail: 1_500_000_000 };

/** How much of the log a standby may have to replay, in bytes. At 5,500 bytes a task, 12,000 tasks. */
export const STANDBY_LAG_BYTES = { warn: 64 * 1024 * 1024, fail: Infinity };

/** How late a sweeper may be. `warn`: two sweeps. `fail`: the promised 15 s minus the default lease of 10 s. */
export const SWEEP_LATE_MS = { warn: 2 * SWEEP_MS, fail: 5_000 };

/** How long a task may be stored as running without running code. `fail`: the promised bound. */
export const STALLED_MS = { warn: 0, fail: 15_000 };

/** Time from NOTIFY to its arrival. After the poll interval it has no use. */
export const WAKEUP_MS_MAX = POLL_MS;
/** How long the doctor waits for the NOTIFY. */
export const WAKEUP_GIVEN_UP_MS = 3 * POLL_MS;

/** How long a session may stay without renewal, as a share of its lease: two renewals are missed. */
export const SILENT_LEASES = 2.5 / RENEWALS;

/** How long a task may wait that two scans found next in line with a free slot. The scans are several polls apart. */
export const CLAIM_LATE_MS = { warn: 0, fail: 60_000 };

/** How long the validation of a task may take. A worker may be slow to answer. */
export const UNVALIDATED_MS = { warn: 10 * VALIDATE_MS, fail: 60_000 };

/** How long the hook of a removed task may be pending: attempts are made after 1 s, 2 s and so on, in 15 min ten. */
export const HOOK_PENDING_MS = { warn: 15 * 60_000 };

/** After this time a suspected stall is checked again. Every loop of a server has run by then. */
export const RECHECK_MS = 3 * Math.max(SWEEP_MS, POLL_MS);

/** The time limit of one statement. */
export const STATEMENT_MS_MAX = 5_000;
