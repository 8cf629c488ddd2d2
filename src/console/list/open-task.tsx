import { useId, useState } from "preact/hooks";
import { TASK_ID_PREFIX_CHARS_MIN } from "../../domain/limits.ts";
import { navigate } from "../navigation.ts";
import { isTaskId, isTaskIdPrefix } from "../route.ts";

/** A field that opens a task by its id or a prefix of its id. */
export function OpenTask() {
  const id = useId();
  const [text, setText] = useState("");
  const [isWrong, setWrong] = useState(false);
  return (
    <form
      class="field"
      onSubmit={(event) => {
        event.preventDefault();
        const taskId = text.trim().toLowerCase();
        const isRight = isTaskId(taskId) || isTaskIdPrefix(taskId);
        setWrong(!isRight);
        if (isRight) navigate({ page: "task", taskId, seq: null });
      }}
    >
      <label for={id}>Task id</label>
      <input
        id={id}
        value={text}
        placeholder={`first ${TASK_ID_PREFIX_CHARS_MIN} characters or more`}
        aria-invalid={isWrong}
        aria-describedby={isWrong ? `${id}-wrong` : undefined}
        autocomplete="off"
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button type="submit" aria-label="Open the task">
        Open
      </button>
      {isWrong && (
        <span id={`${id}-wrong`} class="violation" role="alert">
          must be at least the first {TASK_ID_PREFIX_CHARS_MIN} characters of a task id
        </span>
      )}
    </form>
  );
}
