import { TASK_ID_PREFIX_CHARS_MIN } from "../../domain/limits.ts";
import { navigate } from "../navigation.ts";
import { SubmitField } from "../parts/submit-field.tsx";
import { isTaskId, isTaskIdPrefix } from "../route.ts";

/** A field that opens a task by its id or a prefix of its id. */
export function OpenTask() {
  return (
    <SubmitField
      name="Task id"
      action="Open"
      actionName="Open the task"
      hint={`${TASK_ID_PREFIX_CHARS_MIN} characters or more`}
      problem={`must be at least the first ${TASK_ID_PREFIX_CHARS_MIN} characters of a task id`}
      read={(text) => {
        const taskId = text.toLowerCase();
        return isTaskId(taskId) || isTaskIdPrefix(taskId) ? taskId : null;
      }}
      onSubmit={(taskId) => navigate({ page: "task", taskId, seq: null })}
    />
  );
}
