import { POLL_MS } from "../engine/attempt/claimer.ts";
import { LOOK_MS } from "../engine/maintenance/task-validator.ts";
import { RENEWALS } from "../engine/cluster/session.ts";
import { SWEEP_MS } from "../engine/maintenance/sweeper.ts";
import { ANSWER_MS_MAX } from "../store/connection/named-client.ts";
import { IDLE_IN_TRANSACTION_MS_MAX } from "../store/connection/session-check.ts";
import { CONNECTIONS_MAX_DEFAULT } from "../store/database.ts";

// From where on a figure is a warning, and from where on a failure. A bound that is promised is a failure; twice what a
// loop needs, where it is well, is a warning.

/** The oldest that is promised. */
export const POSTGRES_VERSION_MIN = 150_000;

/** One round trip, in ms. Every commit is one: at the first a start is felt; at the other each loop falls behind its second. */
export const ROUND_TRIP_MS = { warn: 50, fail: 1_000 };

/** Of this machine's clock and the database's, in ms. Nothing breaks: deadlines and run_at of callers here are off by it. */
export const CLOCK_DIFFERENCE_MS = { warn: 1_000, fail: 60_000 };

/** What one server may take: its pool, and the one that listens. With fewer left, the next one cannot start. */
export const SERVER_CONNECTIONS = CONNECTIONS_MAX_DEFAULT + 1;

/**
 * How long a transaction may stand still with locks on Spool's tables. Spool ends its own after the first; at the other
 * a cancel of a task whose row it holds has missed the 10 s that are promised.
 */
export const IDLE_TRANSACTION_MS = { warn: IDLE_IN_TRANSACTION_MS_MAX, fail: 10_000 };
/** How long one may be at work. Spool gives its own statements up by then. */
export const LONG_TRANSACTION_MS = ANSWER_MS_MAX;

/** How long a sweeper may leave what is overdue: two sweeps; and what the promised 15 s have beyond a lease of 10 s. */
export const SWEEP_LATE_MS = { warn: 2 * SWEEP_MS, fail: 5_000 };

/** How long a task may be stored as running without running code: what two flushes take; and what is promised. */
export const STALLED_MS = { warn: 0, fail: 15_000 };

/** From NOTIFY to its arrival. Later than the poll it is of no use. */
export const WAKEUP_MS_MAX = POLL_MS;
/** When it is given up. */
export const WAKEUP_GIVEN_UP_MS = 3 * POLL_MS;

/** How much of its lease a session may be silent for: it has missed two renewals then. */
export const SILENT_LEASES = 2.5 / RENEWALS;

/** How long a task has waited that is next at two looks, with a slot free: longer than several polls, whatever it is. */
export const CLAIM_LATE_MS = { warn: 0, fail: 60_000 };

/** How long it may take until a task was looked over. A worker may take its time for it. */
export const UNCHECKED_MS = { warn: 10 * LOOK_MS, fail: 60_000 };

/** After which what looks as if it stood still is looked at again: every loop has had its turn, and more than one. */
export const LOOK_AGAIN_MS = 3 * Math.max(SWEEP_MS, POLL_MS);

/** For one statement. */
export const STATEMENT_MS_MAX = 5_000;
