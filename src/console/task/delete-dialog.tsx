import { useEffect, useRef, useState } from "preact/hooks";
import type { SpoolRpcError } from "../../codec/rpc-error.ts";
import { answered, taskCalls } from "../calls.ts";
import { Problem } from "../parts/problem.tsx";

/** The dialog that asks whether to remove a task, and removes it. */
export function DeleteDialog({ taskId, onDone, onClose }: { taskId: string; onDone: () => void; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<SpoolRpcError | null>(null);
  useEffect(() => dialog.current!.showModal(), []);
  const remove = async () => {
    setBusy(true);
    setError(null);
    try {
      await answered(taskCalls.deleteTask({ taskId }));
      dialog.current!.close();
      onDone();
    } catch (failure) {
      setError(failure as SpoolRpcError);
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby="delete-title" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void remove();
        }}
      >
        <h2 id="delete-title">Delete this task?</h2>
        <p>The task and its tape are removed for all readers. This cannot be undone.</p>
        {error && <Problem title="The task was not deleted" error={error} />}
        <div class="buttons">
          <button type="submit" class="danger" disabled={isBusy}>
            Delete the task
          </button>
          <button type="button" onClick={() => dialog.current!.close()}>
            Keep it
          </button>
        </div>
      </form>
    </dialog>
  );
}
