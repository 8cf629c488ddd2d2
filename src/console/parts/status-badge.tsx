import type { TaskStatus } from "../../domain/task.ts";

/** A shape for each, so that nobody has to tell them apart by their colours. */
const MARKS: Record<TaskStatus, string> = { pending: "○", running: "◐", succeeded: "✓", failed: "✕", cancelled: "⊘" };

export function StatusBadge({ status }: { status: TaskStatus }) {
  return (
    <span class={`badge ${status}`}>
      <span aria-hidden="true">{MARKS[status]}</span> {status}
    </span>
  );
}
