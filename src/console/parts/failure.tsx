import type { TaskFailure } from "../../domain/event.ts";
import { JsonView } from "./json-view.tsx";

/** The error of a task or an attempt. */
export function Failure({ error }: { error: TaskFailure }) {
  return (
    <div class="failure">
      <p class="failure-reason">{error.reason}</p>
      <pre class="text">{error.message}</pre>
      {error.details && <JsonView value={error.details} />}
    </div>
  );
}
