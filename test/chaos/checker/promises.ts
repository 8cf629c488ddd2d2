/** What Spool promises, by the name under which the checker reports that a history breaks it. */
export const PROMISES = {
  "acknowledged-start-exists":
    "A task whose start was answered exists until it is deleted or its retention has passed.",
  "one-task-per-request-id": "A request_id with the same content starts one task, and with other content is refused.",
  "seqs-gapless": "A tape is numbered 1, 2, 3, … without a gap, for every reader.",
  "no-event-lost": "A follower that has received a final has received every seq from its position on.",
  "no-event-doubled": "A reader receives each event once.",
  "events-in-order": "A reader receives the events of a task in the order of their seqs.",
  "event-never-changes": "A seq has one type and one body, in every answer at any time.",
  "one-final": "A tape has at most one final.",
  "final-last": "No event follows a final.",
  "status-with-final": "A terminal status and its final become visible together, and GetResult answers from then on.",
  "one-snapshot": "Events, status, attempt, last_seq and has_more of one answer belong together.",
  "reads-go-forward": "An answer is at least as new as every state that a reader saw before the call.",
  "read-your-writes": "An answer shows every start and cancel that was answered before the call.",
  "acknowledged-event-durable": "An event that a reader was shown stays on its tape.",
  "attempts-ascend": "Attempts are numbered 1, 2, 3, …, and each event belongs to an attempt that has begun.",
  "one-attempt-at-a-time": "Each attempt runs once, alone for its task, and alone for its exclusive key.",
  "cancel-outcome-true": "The answer to a cancel says what the cancel did.",
  "cancel-ends-task": "A cancelled task gets no further attempt, and ends within 10 s and its grace.",
  "every-task-ends": "Every started task ends with a final.",
  "deleted-stays-deleted": "After a delete was answered, no later call finds the task.",
  "stream-over-many-complete": "A stream over many tasks delivers every event.",
  "stream-over-many-order": "A stream over many tasks delivers each event once, in its task's order.",
  "cursor-loses-nothing": "A stream that continues from a cursor misses and repeats nothing.",
  "result-equals-final": "GetResult returns the status and the outcome of the final.",
  "list-complete": "A list has every task that existed before its call, once.",
  "folded-equals-recorded": "A folded event covers recorded partials and holds their texts and counts.",
  "refusal-has-reason": "Every error has a reason of Spool with its code, and none is INTERNAL.",
} as const;

export type PromiseName = keyof typeof PROMISES;

/** A promise that no legal execution of Spool would break as the history shows. */
export interface Violation {
  promise: PromiseName;
  /** null: the violation concerns no task. */
  taskId: string | null;
  /** What identifies the violation among those of its promise and task: a seq, a follower, a call. */
  subject: string;
  /** One sentence. */
  message: string;
  /** Other tasks that the violation needs. */
  otherTaskIds?: readonly string[];
}
