import { useEffect, useRef, useState } from "preact/hooks";
import { fromCancelTaskResponse } from "../../codec/cancel.ts";
import type { SpoolRpcError } from "../../codec/rpc-error.ts";
import type { CancelledTask, Task } from "../../client/types.ts";
import { CANCEL_REASON_CHARS_MAX } from "../../domain/limits.ts";
import { answered, taskCalls } from "../calls.ts";
import { Problem } from "../parts/problem.tsx";

/** The dialog that asks for a reason and cancels the task. */
export function CancelDialog({
  task,
  onDone,
  onClose,
}: {
  task: Task;
  onDone: (cancelled: CancelledTask) => void;
  onClose: () => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [reason, setReason] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<SpoolRpcError | null>(null);
  useEffect(() => dialog.current!.showModal(), []);
  const cancel = async () => {
    setBusy(true);
    setError(null);
    try {
      onDone(fromCancelTaskResponse(await answered(taskCalls.cancelTask({ taskId: task.taskId, reason }))));
      dialog.current!.close();
    } catch (failure) {
      setError(failure as SpoolRpcError);
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby="cancel-title" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void cancel();
        }}
      >
        <h2 id="cancel-title">Cancel this task?</h2>
        <p>
          {task.status === "running" ? "Its code is notified, and has a grace period to stop." : "It ends at once."}
        </p>
        <label class="field">
          <span>Reason (optional, recorded on the tape)</span>
          <textarea
            rows={2}
            maxLength={CANCEL_REASON_CHARS_MAX}
            value={reason}
            onInput={(event) => setReason(event.currentTarget.value)}
          />
        </label>
        {error && <Problem title="The task was not cancelled" error={error} />}
        <div class="buttons">
          <button type="submit" class="danger" disabled={isBusy}>
            Cancel the task
          </button>
          <button type="button" onClick={() => dialog.current!.close()}>
            Keep it running
          </button>
        </div>
      </form>
    </dialog>
  );
}
