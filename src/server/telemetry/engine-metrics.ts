import type { Histogram, Meter } from "@opentelemetry/api";
import type { AttemptEnd } from "../../domain/attempt-end.ts";
import type { TerminalStatus } from "../../domain/task.ts";
import type { EngineObserver, RemovedBy } from "../../engine/api/engine-observer.ts";
import type { OverdueReason } from "../../store/tasks/sweep-queries.ts";
import type { LabelledKinds } from "./labelled-kinds.ts";
import { observeSeries, seriesBy, seriesOf } from "./time-series.ts";
import type { Series } from "./time-series.ts";

const STATUSES = ["succeeded", "failed", "cancelled"] as const satisfies TerminalStatus[];
const OUTCOMES = [...STATUSES, "retrying", "handed_over", "moved", "lost"] as const satisfies AttemptEnd["outcome"][];
const CANCELS = ["cancelled", "requested", "already_terminal"] as const;
const REMOVERS = ["caller", "retention"] as const satisfies RemovedBy[];
const SWEEPS = ["lost", "cancel", "deadline", "expired"] as const satisfies OverdueReason[];

/** From a task that ends in the flush after its start to half a day: thirds of a decade, then round numbers. */
const TASK_SECONDS = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 300, 900, 3_600, 10_800, 43_200];
/** Around the promised bound: 10 s by default, of which 5 s are the grace of the code. */
const CANCEL_SECONDS = [0.01, 0.03, 0.1, 0.3, 1, 2, 4, 5, 6, 8, 10, 15, 30, 60];
/** From a flush without load to the statement timeout. */
const FLUSH_SECONDS = [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1, 2, 4, 8, 15];
/** Up to the largest flush. */
const FLUSH_SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192];
/** From 5 ms, for which commits are batched, to several poll intervals. */
const WAKEUP_SECONDS = [0.005, 0.006, 0.008, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5];

/** The series of a kind. They start at zero when the kind is first seen, so that the first increase is visible. */
export interface KindSeries {
  readonly label: string;
  readonly started: Series;
  readonly attempts: Series;
  readonly removed: Record<RemovedBy, Series>;
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
    removed: seriesBy("by", REMOVERS, ofKind),
    ended: seriesBy("status", STATUSES, ofKind),
    outcomes: seriesBy("outcome", OUTCOMES, ofKind),
    cancels: seriesBy("outcome", CANCELS, ofKind),
    swept: seriesBy("reason", SWEEPS, ofKind),
  };
}

/**
 * The metrics of an engine. Frequent events are counted as plain numbers, which are read at each scrape. An instrument
 * of the SDK would build a text from the labels for each count, which takes 0.2 to 0.4 µs: only durations use
 * instruments.
 */
export class EngineMetrics implements EngineObserver {
  readonly #kinds: LabelledKinds<KindSeries>;
  readonly #events = seriesOf({});
  readonly #journalBytes = seriesOf({});
  readonly #exportedTasks = seriesOf({});
  readonly #exportFailures = seriesOf({});
  readonly #packedTapes = seriesOf({});
  readonly #packedEvents = seriesOf({});
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
    ofKinds("spool_tasks_started_total", "Tasks that this server stored", ({ started }) => [started]);
    ofKinds("spool_tasks_ended_total", "Tasks whose end this server committed", ({ ended }) => all(ended));
    ofKinds("spool_attempts_started_total", "Attempts that started at this server", ({ attempts }) => [attempts]);
    ofKinds("spool_cancels_total", "CancelTask calls by outcome", ({ cancels }) => all(cancels));
    ofKinds("spool_tasks_swept_total", "Tasks that the sweeper took over, by reason", ({ swept }) => all(swept));
    ofKinds("spool_tasks_removed_total", "Ended tasks that this server removed", ({ removed }) => all(removed));
    counter("spool_events_total", "Committed events", () => [this.#events]);
    counter("spool_retention_exported_total", "Tasks that this server exported before their removal", () => [
      this.#exportedTasks,
    ]);
    counter("spool_retention_export_failures_total", "Exports before a removal that failed at this server", () => [
      this.#exportFailures,
    ]);
    counter("spool_tapes_packed_total", "Tapes that this server packed", () => [this.#packedTapes]);
    counter("spool_events_packed_total", "Events that this server packed", () => [this.#packedEvents]);
    counter("spool_journal_bytes_total", "Bytes of event bodies that the journal committed", () => [
      this.#journalBytes,
    ]);
    counter("spool_sessions_lost_total", "Sessions that expired and lost their tasks", () => all(this.#sessionsLost));
    const histogram = (name: string, explicitBucketBoundaries: number[], description: string) =>
      meter.createHistogram(name, { description, advice: { explicitBucketBoundaries } });
    this.#taskDuration = histogram(
      "spool_task_duration_seconds",
      TASK_SECONDS,
      "Time from the start to the end of a task",
    );
    this.#taskWait = histogram("spool_task_wait_seconds", TASK_SECONDS, "Time from when a task is due to its attempt");
    this.#attemptDuration = histogram("spool_attempt_duration_seconds", TASK_SECONDS, "Duration of an attempt");
    this.#cancelDuration = histogram(
      "spool_cancel_duration_seconds",
      CANCEL_SECONDS,
      "Time from the cancel request to the final event",
    );
    this.#flushDuration = histogram(
      "spool_journal_flush_duration_seconds",
      FLUSH_SECONDS,
      "Duration of a flush, from sending to commit",
    );
    this.#flushEvents = histogram("spool_journal_flush_events", FLUSH_SIZES, "Events per flush");
    this.#flushTasks = histogram("spool_journal_flush_tasks", FLUSH_SIZES, "Tasks per flush");
    this.#wakeupDelay = histogram("spool_wakeup_delay_seconds", WAKEUP_SECONDS, "Time from a commit to its wakeup");
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

  tapesPacked({ tapes, events }: { tapes: number; events: number }): void {
    this.#packedTapes.count += tapes;
    this.#packedEvents.count += events;
  }

  taskRemoved(kind: string, by: RemovedBy): void {
    this.#kinds.of(kind).removed[by].count++;
  }

  tasksExported(count: number): void {
    this.#exportedTasks.count += count;
  }

  exportFailed(): void {
    this.#exportFailures.count++;
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
