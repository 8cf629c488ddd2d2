import type { TaskStatus } from "../../domain/task.ts";

/** A shape for each status, so that users need not rely on colors. */
const MARKS: Record<TaskStatus, string> = { pending: "○", running: "◐", succeeded: "✓", failed: "✕", cancelled: "⊘" };

export function StatusBadge({ status }: { status: TaskStatus }) {
  return (
    <span class={`badge ${status}`}>
      <span aria-hidden="true">{MARKS[status]}</span> {status}
    </span>
  );
}
