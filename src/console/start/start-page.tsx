import { useEffect, useState } from "preact/hooks";
import { fromTaskMessage } from "../../codec/task.ts";
import type { SpoolRpcError } from "../../codec/rpc-error.ts";
import type { Task } from "../../client/types.ts";
import { answered, taskCalls } from "../calls.ts";
import { readKnownKinds } from "../known-kinds.ts";
import { PageTitle } from "../parts/page-title.tsx";
import { Problem } from "../parts/problem.tsx";
import { StartForm } from "./start-form.tsx";
import { EMPTY_FIELDS } from "./start-request.ts";
import type { StartFields } from "./start-request.ts";

/** The page that starts a task, or starts a task again. */
export function StartPage({ from }: { from: string | null }) {
  const [fields, setFields] = useState<StartFields | null>(from === null ? EMPTY_FIELDS : null);
  const [error, setError] = useState<SpoolRpcError | null>(null);
  useEffect(() => void readKnownKinds(), []);
  useEffect(() => {
    setError(null);
    setFields(from === null ? EMPTY_FIELDS : null);
    if (from === null) return undefined;
    const over = new AbortController();
    answered(taskCalls.getTask({ taskId: from }, { signal: over.signal }), over.signal).then(
      ({ task }) => setFields(fieldsOf(fromTaskMessage(task))),
      (failure: unknown) => {
        if (!over.signal.aborted) setError(failure as SpoolRpcError);
      },
    );
    return () => over.abort();
  }, [from]);
  return (
    <>
      <PageTitle title={from === null ? "Start a task" : "Start again"} />
      {error && <Problem title="Failed to load the task" error={error} />}
      {fields && <StartForm key={from} initial={fields} />}
    </>
  );
}

/** Returns the form fields for a task, without the request id, which would return the existing task. */
function fieldsOf(task: Task): StartFields {
  return {
    ...EMPTY_FIELDS,
    kind: task.kind,
    params: JSON.stringify(task.params ?? {}, null, 2),
    labels: Object.entries(task.labels).map(([key, value]) => ({ key, value })),
    ...(task.timeoutMs !== null && { timeout: String(task.timeoutMs), timeoutUnit: "ms" }),
    maxAttempts: String(task.maxAttempts),
  };
}
