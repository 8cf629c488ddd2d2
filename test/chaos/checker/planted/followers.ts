import type { EventLine, HistoryLine, NewsLine, TasksOpened } from "../../history.ts";
import type { Stream } from "../facts.ts";
import { Draft } from "./draft.ts";
import type { PlantedBug } from "./draft.ts";

/** Returns the streams of one tape, each with its lines. */
function streams({ facts, lines }: Draft): { stream: Stream; events: EventLine[] }[] {
  return [...facts.tasks.values()].flatMap((task) =>
    task.streams.map((stream) => ({ stream, events: stream.events.map(({ index }) => lines[index] as EventLine) })),
  );
}

interface TasksStream {
  opened: TasksOpened;
  news: NewsLine[];
  end: HistoryLine | null;
}

function tasksStreams({ lines }: Draft): TasksStream[] {
  const found: TasksStream[] = [];
  const open = new Map<string, TasksStream>();
  for (const line of lines) {
    if (line.type === "tasks_opened") {
      const stream: TasksStream = { opened: line, news: [], end: null };
      found.push(stream);
      open.set(line.follower, stream);
    } else if (line.type === "news") open.get(line.follower)?.news.push(line);
    else if (line.type === "tasks_ended") open.get(line.follower)!.end = line;
  }
  return found;
}

/** Returns each event of a task in a stream over many tasks with the one before it. */
function pairsOf({ news }: TasksStream): { before: NewsLine | null; line: NewsLine; after: NewsLine | null }[] {
  return news.map((line, index) => {
    const isSame = ({ taskId }: NewsLine) => taskId === line.taskId;
    const after = news.slice(index + 1).find(isSame) ?? null;
    return { before: news.slice(0, index).findLast(isSame) ?? null, line, after };
  });
}

/** Whether a later stream began at the cursor of a line, so that a change of the line changes that stream, too. */
function isLastOfCursor(draft: Draft, { follower, cursor }: NewsLine): boolean {
  return draft.lines.every(
    (line) => line.type !== "tasks_opened" || line.cursor !== cursor || line.follower !== follower,
  );
}

export const FOLLOWER_BUGS: readonly PlantedBug[] = [
  {
    name: "a stream of a tape skips an event",
    promise: "no-event-lost",
    linesMax: 4,
    plant(draft) {
      const line = Draft.first(streams(draft), ({ events }) =>
        events.length < 3 || events.some(({ eventType }) => eventType === "folded") ? null : events[1]!,
      );
      if (line !== null) draft.remove(line);
      return line !== null;
    },
  },
  {
    name: "a stream of a tape ends OK before the final",
    promise: "no-event-lost",
    linesMax: 5,
    plant(draft) {
      const line = Draft.first(streams(draft), ({ events, stream }) =>
        stream.ended?.line.reason === "final" && events.at(-1)?.eventType === "final" ? events.at(-1)! : null,
      );
      if (line !== null) draft.remove(line);
      return line !== null;
    },
  },
  {
    name: "a stream of a tape repeats an event",
    promise: "no-event-doubled",
    linesMax: 3,
    plant(draft) {
      const line = Draft.first(streams(draft), ({ events }) => events.at(-1) ?? null);
      if (line !== null) draft.insertAfter(line, { ...line });
      return line !== null;
    },
  },
  {
    name: "a stream of a tape swaps two events",
    promise: "events-in-order",
    linesMax: 3,
    plant(draft) {
      const pair = Draft.first(streams(draft), ({ events: [first, second] }) =>
        first !== undefined && second !== undefined && draft.lines.indexOf(second) === draft.lines.indexOf(first) + 1
          ? { first, second }
          : null,
      );
      if (pair === null) return false;
      draft.remove(pair.first);
      draft.insertAfter(pair.second, pair.first);
      return true;
    },
  },
  {
    name: "a follower that comes back is refused past the end",
    promise: "reads-go-forward",
    linesMax: 4,
    plant(draft) {
      const found = Draft.first(streams(draft), ({ stream: { opened, ended }, events }) => {
        const isFailed = ended?.line.reason === "failed" && ended.line.error.reason !== "SEQ_OUT_OF_RANGE";
        if (!isFailed || events.length > 0 || opened.line.fromSeq < 2) return null;
        const { taskId, fromSeq, follower } = opened.line;
        const before = draft.lines.slice(0, opened.index);
        const isSeen = before.some(
          (line) =>
            line.type === "event" && line.taskId === taskId && line.seq === fromSeq - 1 && line.follower === follower,
        );
        return isSeen ? ended!.line : null;
      });
      if (found?.reason !== "failed") return false;
      found.error = { code: "OUT_OF_RANGE", reason: "SEQ_OUT_OF_RANGE", message: "past the end", isLocal: false };
      return true;
    },
  },
  {
    name: "a stream over many tasks skips an event",
    promise: "stream-over-many-complete",
    linesMax: 4,
    plant(draft) {
      const found = Draft.first(tasksStreams(draft).flatMap(pairsOf), ({ before, line, after }) =>
        before !== null && after !== null && before.cursor !== line.cursor && line.cursor !== after.cursor
          ? line
          : null,
      );
      if (found === null || !isLastOfCursor(draft, found)) return false;
      draft.remove(found);
      return true;
    },
  },
  {
    name: "a stream over many tasks never delivers a final",
    promise: "stream-over-many-complete",
    linesMax: 7,
    plant(draft) {
      const found = Draft.first(tasksStreams(draft), ({ opened, news, end }) => {
        const isQuiet = end !== null && end.at - (news.at(-1)?.at ?? 0) > 15_000;
        if (!isQuiet || !opened.fromStart) return null;
        return (
          news.findLast(
            ({ eventType, taskId }) =>
              eventType === "final" &&
              draft.facts.tasks.get(taskId)!.sightings.filter(({ event }) => event.type === "final").length > 2,
          ) ?? null
        );
      });
      if (found === null) return false;
      draft.remove(found);
      return true;
    },
  },
  {
    name: "a stream over many tasks repeats an event",
    promise: "stream-over-many-order",
    linesMax: 3,
    plant(draft) {
      const line = Draft.first(tasksStreams(draft), ({ news }) => news.at(-1) ?? null);
      if (line !== null) draft.insertAfter(line, { ...line });
      return line !== null;
    },
  },
  {
    name: "a stream over many tasks swaps two events of a task",
    promise: "stream-over-many-order",
    linesMax: 3,
    plant(draft) {
      const pair = Draft.first(tasksStreams(draft).flatMap(pairsOf), ({ line, after }) =>
        after !== null && draft.lines.indexOf(after) === draft.lines.indexOf(line) + 1 ? { line, after } : null,
      );
      if (pair === null) return false;
      draft.remove(pair.line);
      draft.insertAfter(pair.after, pair.line);
      return true;
    },
  },
  {
    name: "a cursor advances past an event",
    promise: "cursor-loses-nothing",
    linesMax: 6,
    plant(draft) {
      const found = Draft.first(tasksStreams(draft), (stream) => {
        if (stream.opened.cursor === null) return null;
        const pair = pairsOf(stream).find(({ before, after }) => before === null && after !== null);
        const isKnown = draft.lines.some(
          (line) => line.type === "news" && line.taskId === pair?.line.taskId && line.seq < pair.line.seq,
        );
        return isKnown ? pair!.line : null;
      });
      if (found === null) return false;
      draft.remove(found);
      return true;
    },
  },
  {
    name: "a cursor repeats an event",
    promise: "cursor-loses-nothing",
    linesMax: 5,
    plant(draft) {
      const found = Draft.first(tasksStreams(draft), (stream) => {
        const line = draft.lines.find(
          ({ type, ...each }) => type === "news" && "cursor" in each && each.cursor === stream.opened.cursor,
        );
        return line?.type === "news" && line.follower === stream.opened.follower
          ? { opened: stream.opened, line }
          : null;
      });
      if (found === null) return false;
      draft.insertAfter(found.opened, { ...found.line, at: found.opened.at, cursor: `${found.line.cursor}-again` });
      return true;
    },
  },
];
