import type { Histogram, Meter } from "@opentelemetry/api";
import type { AttemptEnd } from "../../domain/attempt-end.ts";
import type { TerminalStatus } from "../../domain/task.ts";
import type { EngineObserver } from "../../engine/api/engine-metrics.ts";
import type { OverdueReason } from "../../store/tasks/sweep-queries.ts";
import type { LabelledKinds } from "./labelled-kinds.ts";
import { observeSeries, seriesBy, seriesOf } from "./time-series.ts";
import type { Series } from "./time-series.ts";

const STATUSES = ["succeeded", "failed", "cancelled"] as const satisfies TerminalStatus[];
const OUTCOMES = [...STATUSES, "retrying", "handed_over", "moved", "lost"] as const satisfies AttemptEnd["outcome"][];
const CANCELS = ["cancelled", "requested", "already_terminal"] as const;
const SWEEPS = ["lost", "cancel", "deadline", "expired"] as const satisfies OverdueReason[];

/** From a task that ends in the flush after its start to one of half a day: thirds of a decade, then what people say. */
const TASK_SECONDS = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 300, 900, 3_600, 10_800, 43_200];
/** About what is promised: 10 s by default, of which 5 s are the code's grace. */
const CANCEL_SECONDS = [0.01, 0.03, 0.1, 0.3, 1, 2, 4, 5, 6, 8, 10, 15, 30, 60];
/** From one that is alone, to when a statement is given up. */
const FLUSH_SECONDS = [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1, 2, 4, 8, 15];
/** Up to what one takes at the most. */
const FLUSH_SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192];
/** From the 5 ms for which commits are gathered, to when the polls have long been there. */
const WAKEUP_SECONDS = [0.005, 0.006, 0.008, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5];

/** The series of a kind. They begin at zero when it is first heard of, so that its first increase is seen. */
export interface KindSeries {
  readonly label: string;
  readonly started: Series;
  readonly attempts: Series;
  readonly ended: Record<TerminalStatus, Series>;
  readonly outcomes: Record<AttemptEnd["outcome"], Series>;
  readonly cancels: Record<(typeof CANCELS)[number], Series>;
  readonly swept: Record<OverdueReason, Series>;
}

export function kindSeries(label: string): KindSeries {
  const ofKind = { kind: label };
  return {
    label,
    started: seriesOf(ofKind),
    attempts: seriesOf(ofKind),
    ended: seriesBy("status", STATUSES, ofKind),
    outcomes: seriesBy("outcome", OUTCOMES, ofKind),
    cancels: seriesBy("outcome", CANCELS, ofKind),
    swept: seriesBy("reason", SWEEPS, ofKind),
  };
}

/**
 * Counts and measures what an engine tells. What happens with every task, flush and page is kept as plain numbers that
 * are read when somebody asks for them, because an instrument looks a series up by a text that it makes of the labels,
 * at 0.2 to 0.4 µs: only durations are worth that.
 */
export class EngineMetrics implements EngineObserver {
  readonly #kinds: LabelledKinds<KindSeries>;
  readonly #events = seriesOf({});
  readonly #journalBytes = seriesOf({});
  readonly #sessionsLost = seriesBy("of", ["server", "worker"]);
  readonly #taskDuration: Histogram;
  readonly #taskWait: Histogram;
  readonly #attemptDuration: Histogram;
  readonly #cancelDuration: Histogram;
  readonly #flushDuration: Histogram;
  readonly #flushEvents: Histogram;
  readonly #flushTasks: Histogram;
  readonly #wakeupDelay: Histogram;

  constructor(meter: Meter, kinds: LabelledKinds<KindSeries>) {
    this.#kinds = kinds;
    const all = (by: Record<string, Series>) => Object.values(by);
    const counter = (name: string, description: string, read: () => Iterable<Series>) =>
      observeSeries(meter, { name, description }, read);
    const ofKinds = (name: string, description: string, read: (kind: KindSeries) => Series[]) =>
      counter(name, description, () => kinds.all.flatMap(read));
    ofKinds("spool_tasks_started_total", "Tasks that this server has stored", ({ started }) => [started]);
    ofKinds("spool_tasks_ended_total", "Tasks whose end this server has committed", ({ ended }) => all(ended));
    ofKinds("spool_attempts_started_total", "Attempts that began here", ({ attempts }) => [attempts]);
    ofKinds("spool_cancels_total", "Calls of CancelTask, by what they did", ({ cancels }) => all(cancels));
    ofKinds("spool_tasks_swept_total", "Tasks that the sweeper has taken", ({ swept }) => all(swept));
    counter("spool_events_total", "Events committed", () => [this.#events]);
    counter("spool_journal_bytes_total", "Bytes of bodies that the journal has committed", () => [this.#journalBytes]);
    counter("spool_sessions_lost_total", "Sessions that ran out and lost their tasks", () => all(this.#sessionsLost));
    const histogram = (name: string, explicitBucketBoundaries: number[], description: string) =>
      meter.createHistogram(name, { description, advice: { explicitBucketBoundaries } });
    this.#taskDuration = histogram("spool_task_duration_seconds", TASK_SECONDS, "Of tasks, from start to end");
    this.#taskWait = histogram("spool_task_wait_seconds", TASK_SECONDS, "From when a task was due to its attempt");
    this.#attemptDuration = histogram("spool_attempt_duration_seconds", TASK_SECONDS, "Of attempts");
    this.#cancelDuration = histogram("spool_cancel_duration_seconds", CANCEL_SECONDS, "From the request to the final");
    this.#flushDuration = histogram("spool_journal_flush_duration_seconds", FLUSH_SECONDS, "From sending to commit");
    this.#flushEvents = histogram("spool_journal_flush_events", FLUSH_SIZES, "Events in a flush");
    this.#flushTasks = histogram("spool_journal_flush_tasks", FLUSH_SIZES, "Tasks in a flush");
    this.#wakeupDelay = histogram("spool_wakeup_delay_seconds", WAKEUP_SECONDS, "From a commit to its wakeup");
  }

  taskStored(kind: string): void {
    this.#kinds.of(kind).started.count++;
  }

  attemptBegan(kind: string, waitedMs: number): void {
    const { attempts } = this.#kinds.ofRun(kind);
    attempts.count++;
    this.#taskWait.record(waitedMs / 1_000, attempts.attributes);
  }

  attemptEnded(kind: string, outcome: AttemptEnd["outcome"], durationMs: number): void {
    this.#attemptDuration.record(durationMs / 1_000, this.#kinds.of(kind).outcomes[outcome].attributes);
  }

  taskEnded(kind: string, status: TerminalStatus, durationMs: number, cancelMs: number | null): void {
    const { started, ended } = this.#kinds.of(kind);
    ended[status].count++;
    this.#taskDuration.record(durationMs / 1_000, ended[status].attributes);
    if (cancelMs !== null) this.#cancelDuration.record(Math.max(0, cancelMs) / 1_000, started.attributes);
  }

  cancelAsked(kind: string, outcome: (typeof CANCELS)[number]): void {
    this.#kinds.of(kind).cancels[outcome].count++;
  }

  flushed({ tasks, events, bytes, durationMs }: { tasks: number; events: number; bytes: number; durationMs: number }) {
    this.#events.count += events;
    this.#journalBytes.count += bytes;
    this.#flushDuration.record(durationMs / 1_000);
    this.#flushEvents.record(events);
    this.#flushTasks.record(tasks);
  }

  eventsWritten(count: number): void {
    this.#events.count += count;
  }

  taskSwept(kind: string, reason: OverdueReason): void {
    this.#kinds.of(kind).swept[reason].count++;
  }

  sessionLost(of: "server" | "worker"): void {
    this.#sessionsLost[of].count++;
  }

  wakeupCame(delayMs: number): void {
    this.#wakeupDelay.record(delayMs / 1_000);
  }
}
