import type { EventFields, FaultLine, HistoryLine, SeenEvent } from "../history.ts";
import { acknowledged, isAnswer } from "./facts.ts";
import type { Call, Facts, List, Placed, Sighting, StartCall, Stream, TaskFacts } from "./facts.ts";

/** Reads a history once. An answer whose call is not in the history is ignored. */
export function collectFacts(lines: readonly HistoryLine[]): Facts {
  const collector = new FactsCollector();
  lines.forEach((line, index) => collector.add(line, index));
  return collector.finish(lines);
}

class FactsCollector {
  readonly #tasks = new Map<string, TaskFacts>();
  readonly #calls = new Map<string, Call<unknown, unknown>>();
  readonly #starts: StartCall[] = [];
  readonly #faults: FaultLine[] = [];
  readonly #lists: Placed<List>[] = [];
  /** By follower. */
  readonly #streams = new Map<string, Stream>();
  #isAttached = false;
  #endAt = 0;

  add(line: HistoryLine, index: number): void {
    this.#endAt = Math.max(this.#endAt, line.at);
    const at = line.at;
    switch (line.type) {
      case "run":
        this.#isAttached = line.isAttached;
        return;
      case "fault":
        this.#faults.push(line);
        return;
      case "start_sent":
        this.#starts.push(this.#open(line, index));
        return;
      case "start_answered":
        return this.#addStart(this.#answer(line, index));
      case "cancel_sent":
        this.#task(line).cancels.push(this.#open(line, index));
        return;
      case "delete_sent":
        this.#task(line).deletes.push(this.#open(line, index));
        return;
      case "read_sent":
        this.#task(line).reads.push(this.#open(line, index));
        return;
      case "page_sent":
        this.#task(line).pages.push(this.#open(line, index));
        return;
      case "result_sent":
        this.#task(line).results.push(this.#open(line, index));
        return;
      case "cancel_answered":
      case "delete_answered":
      case "read_answered":
      case "result_answered":
        this.#answer(line, index);
        return;
      case "page_answered":
        if (this.#answer(line, index) === null || !isAnswer(line)) return;
        return this.#see(line.events, { taskId: line.taskId, index, at, by: `a page for ${line.client}` });
      case "opened": {
        const stream: Stream = { opened: { line, index }, events: [], ended: null };
        this.#task(line).streams.push(stream);
        this.#streams.set(line.follower, stream);
        return;
      }
      case "event":
        return this.#addEvent(line, index);
      case "ended": {
        const stream = this.#streams.get(line.follower);
        if (stream?.opened.line.taskId === line.taskId) stream.ended = { line, index };
        this.#streams.delete(line.follower);
        return;
      }
      case "news":
        this.#task(line);
        return this.#see([eventOf(line)], { taskId: line.taskId, index, at, by: `follower ${line.follower}` });
      case "settled": {
        const task = this.#task(line);
        task.settled = { line, index };
        if (!isAnswer(line)) return;
        task.kind ??= line.kind;
        return this.#see(line.events, { taskId: line.taskId, index, at, by: "the tape at the end of the run" });
      }
      case "listed":
        if (isAnswer(line)) this.#lists.push({ line, index });
        return;
      case "tasks_opened":
      case "tasks_ended":
      case "attempt":
        return;
    }
  }

  finish(lines: readonly HistoryLine[]): Facts {
    if (this.#starts.some(({ sent: { line } }) => line.retentionMs !== undefined)) {
      for (const task of this.#tasks.values()) task.retentions = this.#retentionsOf(task);
    }
    return {
      lines,
      tasks: this.#tasks,
      starts: this.#starts,
      faults: this.#faults,
      lists: this.#lists,
      isAttached: this.#isAttached,
      endAt: this.#endAt,
    };
  }

  /**
   * A task whose start was not answered may be that of any such start. One with a request_id may be that of the first
   * start with it.
   */
  #retentionsOf({ starts, namespace }: TaskFacts): TaskFacts["retentions"] {
    const requestIds = new Set(starts.flatMap(({ sent: { line } }) => line.requestId ?? []));
    return this.#starts.flatMap((start) => {
      const { line } = start.sent;
      if (line.retentionMs === undefined || line.namespace !== namespace) return [];
      const mayBe =
        starts.length === 0
          ? acknowledged(start) === null
          : starts.some(({ sent }) => sent === start.sent) ||
            (line.requestId !== null && requestIds.has(line.requestId));
      return mayBe ? [{ at: line.at, retentionMs: line.retentionMs }] : [];
    });
  }

  #open<Sent extends HistoryLine & { client: string; call: number }, Answered>(
    line: Sent,
    index: number,
  ): Call<Sent, Answered> {
    const call: Call<Sent, Answered> = { sent: { line, index }, answered: null };
    this.#calls.set(callKey(line), call as Call<unknown, unknown>);
    return call;
  }

  #answer(line: HistoryLine & { client: string; call: number }, index: number): Call<unknown, unknown> | null {
    const call = this.#calls.get(callKey(line)) ?? null;
    if (call !== null) call.answered ??= { line, index };
    return call;
  }

  #addStart(call: Call<unknown, unknown> | null): void {
    const start = call === null ? null : acknowledged(call as StartCall);
    if (start === null) return;
    const { namespace, kind } = start.sent.line;
    const task = this.#task({ taskId: start.answered.line.taskId, namespace });
    task.kind ??= kind;
    task.starts.push(start);
  }

  #addEvent(line: HistoryLine & { type: "event" }, index: number): void {
    const stream = this.#streams.get(line.follower);
    if (stream === undefined || stream.opened.line.taskId !== line.taskId) return;
    const place = { taskId: line.taskId, index, at: line.at, by: `follower ${line.follower}` };
    this.#see([eventOf(line)], place);
    stream.events.push(this.#tasks.get(line.taskId)!.sightings.at(-1)!);
  }

  #see(events: readonly SeenEvent[], { taskId, ...place }: Omit<Sighting, "event"> & { taskId: string }): void {
    const task = this.#tasks.get(taskId);
    if (task === undefined) return;
    for (const event of events) {
      const sighting: Sighting = { event, ...place };
      task.sightings.push(sighting);
      if (event.type !== "folded" && !task.tape.has(event.seq)) task.tape.set(event.seq, sighting);
    }
  }

  #task({ taskId, namespace }: { taskId: string; namespace: string }): TaskFacts {
    let task = this.#tasks.get(taskId);
    if (task === undefined) {
      const calls = { starts: [], cancels: [], deletes: [], reads: [], pages: [], results: [] };
      const seen = {
        streams: [],
        settled: null as Placed<never> | null,
        sightings: [],
        retentions: [],
        tape: new Map<number, Sighting>(),
      };
      task = { taskId, namespace, kind: null, ...calls, ...seen };
      this.#tasks.set(taskId, task);
    }
    return task;
  }
}

function callKey({ type, client, call }: { type: string; client: string; call: number }): string {
  return `${type.slice(0, type.lastIndexOf("_"))} ${call} ${client}`;
}

/** Returns the event of a line. */
export function eventOf(line: EventFields): SeenEvent {
  return { ...line, type: line.eventType };
}
