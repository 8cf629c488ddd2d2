import { useState } from "preact/hooks";
import type { CancelledTask, Task } from "../../client/types.ts";
import { isTerminal } from "../../domain/task.ts";
import { RightButton } from "../access/right-button.tsx";
import { lackOf } from "../access/rights.ts";
import { formatCount } from "../format.ts";
import { now } from "../parts/clock.ts";
import { Failure } from "../parts/failure.tsx";
import { JsonView } from "../parts/json-view.tsx";
import { Labels } from "../parts/labels.tsx";
import { PageTitle } from "../parts/page-title.tsx";
import { Problem } from "../parts/problem.tsx";
import { StatusBadge } from "../parts/status-badge.tsx";
import { useOpened } from "../parts/use-opened.ts";
import { navigate } from "../navigation.ts";
import { formatRoute, NO_FILTER } from "../route.ts";
import { SeriesCard } from "../tape/series-card.tsx";
import { TapeSection } from "../tape/tape-section.tsx";
import { Tape } from "../tape/tape.ts";
import { CancelDialog } from "./cancel-dialog.tsx";
import { DeleteDialog } from "./delete-dialog.tsx";
import { PhaseList } from "./phase-list.tsx";
import { TaskFacts } from "./task-facts.tsx";
import { TimingChart } from "./timing-chart.tsx";

const CANCEL_NOTES: Record<CancelledTask["outcome"], string> = {
  cancelled: "The task has been cancelled.",
  requested: "The cancel is recorded on the tape, and the task's code was notified.",
  already_terminal: "The task had already ended; nothing has changed.",
};

/** The page of one task: its state, progress, live tape and outcome. */
export function TaskPage({ taskId, seq }: { taskId: string; seq: number | null }) {
  const tape = useOpened(() => new Tape(taskId), taskId);
  const task = tape.task.value;
  if (task === null) {
    return (
      <>
        <PageTitle title="Task" />
        {tape.error.value ? (
          <Problem title="Failed to load the task" error={tape.error.value} />
        ) : (
          <p class="quiet">Loading task…</p>
        )}
      </>
    );
  }
  return (
    <>
      <TaskHeader task={task} onChange={(changed) => tape.setTask(changed)} />
      {tape.error.value && <Problem title="Stopped following the tape" error={tape.error.value} />}
      <div class="task-columns">
        <div class="task-main">
          <Outcome tape={tape} />
          <Course tape={tape} />
          <SeriesCard tape={tape} />
          <TapeSection tape={tape} taskId={taskId} seq={seq} />
        </div>
        <aside class="task-side" aria-label="About this task">
          <section class="card" aria-labelledby="facts-title">
            <h2 id="facts-title">Facts</h2>
            <TaskFacts task={task} />
            <Labels labels={task.labels} />
          </section>
          <section class="card" aria-labelledby="params-title">
            <h2 id="params-title">Params</h2>
            <JsonView value={task.params ?? {}} open={2} />
          </section>
        </aside>
      </div>
    </>
  );
}

function TaskHeader({ task, onChange }: { task: Task; onChange: (task: Task) => void }) {
  const [asked, setAsked] = useState<"cancel" | "delete" | null>(null);
  const [note, setNote] = useState("");
  return (
    <div class="task-header">
      <PageTitle title={task.kind} />
      <span class="task-status" role="status">
        <StatusBadge status={task.status} />
        {task.awaitsWorker && <span class="quiet">waits for a server or worker that runs this kind</span>}
        {task.status === "running" && task.cancelRequestedAt && <span class="quiet">is being cancelled</span>}
      </span>
      <div class="buttons">
        {isTerminal(task.status) ? (
          <RightButton scope="tasks:delete" class="danger" onClick={() => setAsked("delete")}>
            Delete
          </RightButton>
        ) : (
          <RightButton scope="tasks:cancel" class="danger" onClick={() => setAsked("cancel")}>
            Cancel
          </RightButton>
        )}
        {lackOf("tasks:start") === null && (
          <a class="button" href={formatRoute({ page: "start", from: task.taskId })}>
            Start again
          </a>
        )}
      </div>
      <p class="task-note" role="status">
        {note}
      </p>
      {asked === "cancel" && (
        <CancelDialog
          task={task}
          onDone={({ task: cancelled, outcome }) => {
            onChange(cancelled);
            setNote(CANCEL_NOTES[outcome]);
          }}
          onClose={() => setAsked(null)}
        />
      )}
      {asked === "delete" && (
        <DeleteDialog
          taskId={task.taskId}
          onDone={() => navigate({ page: "tasks", filter: NO_FILTER, pageToken: "" })}
          onClose={() => setAsked(null)}
        />
      )}
    </div>
  );
}

function Outcome({ tape }: { tape: Tape }) {
  void tape.revision.value;
  const { outcome } = tape.summary;
  if (outcome === null) return null;
  return (
    <section class={`card outcome ${outcome.status}`} aria-labelledby="outcome-title">
      <h2 id="outcome-title">{outcome.error ? "Error" : "Result"}</h2>
      {outcome.error && <Failure error={outcome.error} />}
      {outcome.result && <JsonView value={outcome.result} open={2} />}
    </section>
  );
}

function Course({ tape }: { tape: Tape }) {
  void tape.revision.value;
  const isSummedUp = tape.summedUpTo.value >= tape.lastSeq.value;
  return (
    <section class="card course" aria-labelledby="course-title">
      <h2 id="course-title">Progress</h2>
      <PhaseList summary={tape.summary} />
      <h3>Timing</h3>
      <TimingChart summary={tape.summary} nowMs={now.value} />
      {!isSummedUp && (
        <p class="quiet">
          Read up to event {formatCount(tape.summedUpTo.value)} of {formatCount(tape.lastSeq.value)}.
        </p>
      )}
      {tape.summedUpFrom > 1 && <p class="quiet">This is of the events from {formatCount(tape.summedUpFrom)} on.</p>}
    </section>
  );
}
