import type { HistoryLine, SeenEvent, SettledLine } from "../../history.ts";
import { collectFacts, eventOf } from "../collect-facts.ts";
import { finalOf, settledTape } from "../facts.ts";
import type { Facts, Settled, TaskFacts } from "../facts.ts";
import type { PromiseName } from "../promises.ts";

/** A change of a legal history, such as a broken Spool would cause. */
export interface PlantedBug {
  name: string;
  /** The promise that it breaks, and the only one. */
  promise: PromiseName;
  /** Lines of the shortest history that shows it, at most. */
  linesMax: number;
  /** @returns whether the history had a place for the bug */
  plant: (draft: Draft) => boolean;
}

/** A history that can be changed. */
export class Draft {
  lines: HistoryLine[];
  /** What the legal history says. */
  readonly facts: Facts;

  constructor(legal: readonly HistoryLine[]) {
    // As from a file: no two lines share an event.
    this.lines = JSON.parse(JSON.stringify(legal)) as HistoryLine[];
    this.facts = collectFacts(this.lines);
  }

  /** The tasks that exist at the end of the run, whose start was acknowledged, and that no call has tried to delete. */
  get settledTasks(): (TaskFacts & { tapeAtEnd: Settled })[] {
    return [...this.facts.tasks.values()].flatMap((task) => {
      const tapeAtEnd = settledTape(task);
      const isPlain = task.starts.length > 0 && task.deletes.length === 0 && task.retentions.length === 0;
      return tapeAtEnd !== null && isPlain ? [{ ...task, tapeAtEnd }] : [];
    });
  }

  /** Finds the first value that is not null. @returns null: there is none */
  static first<Item, Found>(items: Iterable<Item>, find: (item: Item) => Found | null): Found | null {
    for (const item of items) {
      const found = find(item);
      if (found !== null) return found;
    }
    return null;
  }

  remove(line: HistoryLine): void {
    this.lines = this.lines.filter((other) => other !== line);
  }

  removeAll(isRemoved: (line: HistoryLine) => boolean): void {
    this.lines = this.lines.filter((line) => !isRemoved(line));
  }

  insertAfter(line: HistoryLine, ...added: readonly HistoryLine[]): void {
    this.lines.splice(this.lines.indexOf(line) + 1, 0, ...added);
  }

  replace(line: HistoryLine, replaced: HistoryLine): void {
    this.lines[this.lines.indexOf(line)] = replaced;
  }

  /** Changes each recorded event of a task wherever it was read. null removes it. */
  mapEvents(taskId: string, change: (event: SeenEvent) => SeenEvent | null): void {
    this.lines = this.lines.flatMap((line): HistoryLine[] => {
      if (!("taskId" in line) || line.taskId !== taskId) return [line];
      if (line.type === "event" || line.type === "news") {
        const changed = change(eventOf(line));
        return changed === null
          ? []
          : [{ ...line, ...changed, type: line.type, eventType: changed.type } as HistoryLine];
      }
      if (!("events" in line)) return [line];
      return [{ ...line, events: line.events.flatMap((event) => change(event) ?? []) }];
    });
  }

  /** Changes what a settled task is at the end of the run. */
  changeSettled(taskId: string, change: (settled: Settled) => SettledLine): void {
    const line = this.lines.find((each) => each.type === "settled" && each.taskId === taskId) as Settled;
    this.replace(line, change(line));
  }

  finalSeq(task: TaskFacts): number {
    return finalOf(task)!.event.seq;
  }

  /** Whether some reader saw a folded event of the task. */
  isFolded({ sightings }: TaskFacts): boolean {
    return sightings.some(({ event }) => event.type === "folded");
  }
}
