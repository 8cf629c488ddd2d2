import type { ComponentChildren } from "preact";
import { useId, useRef, useState } from "preact/hooks";
import type { SpoolRpcError } from "../../codec/rpc-error.ts";
import { answered, taskCalls } from "../calls.ts";
import { knownKinds } from "../known-kinds.ts";
import { navigate } from "../navigation.ts";
import { Problem } from "../parts/problem.tsx";
import { LabelFields } from "./label-fields.tsx";
import { paramsProblem, readFields, TIME_UNITS } from "./start-request.ts";
import type { StartFields } from "./start-request.ts";
import { sortViolations } from "./violations.ts";

/** The form that starts a task. Shows each violation that the server reports beside its field. */
export function StartForm({ initial }: { initial: StartFields }) {
  const [fields, setFields] = useState(initial);
  const [violations, setViolations] = useState<ReturnType<typeof sortViolations>>({});
  const [error, setError] = useState<SpoolRpcError | null>(null);
  const [isBusy, setBusy] = useState(false);
  const requestIdOf = useRequestId();
  const set = (change: Partial<StartFields>) => setFields((before) => ({ ...before, ...change }));
  const start = async () => {
    setError(null);
    setViolations({});
    const read = readFields(fields);
    if (read.request === null) return setViolations(sortViolations(read.violations));
    setBusy(true);
    try {
      const requestId = read.request.requestId || requestIdOf(JSON.stringify(fields));
      const { task } = await answered(taskCalls.startTask({ ...read.request, requestId }));
      navigate({ page: "task", taskId: task!.taskId, seq: null });
    } catch (failure) {
      const refused = failure as SpoolRpcError;
      setViolations(sortViolations(refused.violations));
      setError(refused);
      setBusy(false);
    }
  };
  const syntax = paramsProblem(fields.params);
  return (
    <form
      class="card start-form"
      onSubmit={(event) => {
        event.preventDefault();
        void start();
      }}
    >
      <Field name="Kind" problems={violations.kind}>
        {(ids) => (
          <>
            <input
              {...ids}
              list="known-kinds"
              value={fields.kind}
              required
              autocomplete="off"
              spellcheck={false}
              onInput={(event) => set({ kind: event.currentTarget.value })}
            />
            <datalist id="known-kinds">
              {knownKinds.value.map((kind) => (
                <option key={kind} value={kind} />
              ))}
            </datalist>
          </>
        )}
      </Field>
      <Field name="Params, a JSON object" problems={syntax === null ? violations.params : [syntax]}>
        {(ids) => (
          <textarea
            {...ids}
            class="code"
            rows={10}
            value={fields.params}
            spellcheck={false}
            onInput={(event) => set({ params: event.currentTarget.value })}
          />
        )}
      </Field>
      <LabelFields labels={fields.labels} problems={violations.labels} onChange={(labels) => set({ labels })} />
      <Field
        name="Request id"
        hint="Makes the start safe to repeat. Empty: a random id."
        problems={violations.request_id}
      >
        {(ids) => (
          <input
            {...ids}
            value={fields.requestId}
            autocomplete="off"
            onInput={(event) => set({ requestId: event.currentTarget.value })}
          />
        )}
      </Field>
      <div class="field-row">
        <Field name="Timeout of an attempt" hint="Empty: no limit." problems={violations.timeout}>
          {(ids) => (
            <span class="joined">
              <input
                {...ids}
                inputMode="decimal"
                value={fields.timeout}
                onInput={(event) => set({ timeout: event.currentTarget.value })}
              />
              <select
                aria-label="Unit of the timeout"
                value={fields.timeoutUnit}
                onChange={(event) => set({ timeoutUnit: event.currentTarget.value as StartFields["timeoutUnit"] })}
              >
                {Object.keys(TIME_UNITS).map((unit) => (
                  <option key={unit}>{unit}</option>
                ))}
              </select>
            </span>
          )}
        </Field>
        <Field name="Attempts" hint="Empty: set by the kind." problems={violations.max_attempts}>
          {(ids) => (
            <input
              {...ids}
              inputMode="numeric"
              value={fields.maxAttempts}
              onInput={(event) => set({ maxAttempts: event.currentTarget.value })}
            />
          )}
        </Field>
      </div>
      {error && <Problem title="The task was not started" error={error} />}
      <div class="buttons">
        <button type="submit" class="primary" disabled={isBusy || syntax !== null}>
          Start
        </button>
      </div>
    </form>
  );
}

/**
 * Returns a function that creates a request id for a request. The id stays the same while the request does, so a retry
 * starts no second task.
 */
function useRequestId(): (content: string) => string {
  const last = useRef({ content: "", requestId: "" });
  return (content) => {
    if (content !== last.current.content) {
      // Pages without a secure context have no randomUUID.
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      last.current = {
        content,
        requestId: `console-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`,
      };
    }
    return last.current.requestId;
  };
}

function Field({
  name,
  hint,
  problems = [],
  children,
}: {
  name: string;
  hint?: string;
  problems: readonly string[] | undefined;
  children: (ids: { id: string; "aria-describedby": string; "aria-invalid": boolean }) => ComponentChildren;
}) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{name}</label>
      {children({ id, "aria-describedby": `${id}-hint ${id}-problems`, "aria-invalid": problems.length > 0 })}
      <span id={`${id}-hint`} class="hint">
        {hint}
      </span>
      <span id={`${id}-problems`} class="violation" role="alert">
        {problems.join("; ")}
      </span>
    </div>
  );
}
