import { TASK_STATUSES } from "../../domain/task.ts";
import type { TaskStatus } from "../../domain/task.ts";
import { knownKinds } from "../known-kinds.ts";
import { SubmitField } from "../parts/submit-field.tsx";
import { NO_FILTER, parseLabel } from "../route.ts";
import type { TaskFilter } from "../route.ts";
import { OpenTask } from "./open-task.tsx";

/** The fields that filter the list, and the one that opens a task. */
export function FilterFields({ filter, onChange }: { filter: TaskFilter; onChange: (filter: TaskFilter) => void }) {
  const { statuses, kinds, labels } = filter;
  const toggle = (status: TaskStatus) => {
    const others = statuses.filter((other) => other !== status);
    onChange({ ...filter, statuses: others.length < statuses.length ? others : [...statuses, status] });
  };
  const hasAny = statuses.length > 0 || kinds.length > 0 || Object.keys(labels).length > 0;
  return (
    <div class="filter" role="search" aria-label="Filter tasks">
      <fieldset class="statuses">
        <legend>Status</legend>
        {TASK_STATUSES.map((status) => (
          <label key={status} class="toggle">
            <input type="checkbox" checked={statuses.includes(status)} onChange={() => toggle(status)} />
            <span>{status}</span>
          </label>
        ))}
      </fieldset>
      <SubmitField
        name="Kind"
        action="Add"
        actionName="Add kind"
        options={knownKinds.value}
        problem="must not be empty"
        read={(text) => (text === "" ? null : text)}
        onSubmit={(kind) => onChange({ ...filter, kinds: [...new Set([...kinds, kind])] })}
      />
      <SubmitField
        name="Label"
        action="Add"
        actionName="Add label"
        hint="key=value"
        problem="must be key=value"
        read={parseLabel}
        onSubmit={([key, value]) => onChange({ ...filter, labels: { ...labels, [key]: value } })}
      />
      <OpenTask />
      {hasAny && (
        <p class="chosen">
          {kinds.map((kind) => (
            <Chosen
              key={kind}
              name={`kind ${kind}`}
              onRemove={() => onChange({ ...filter, kinds: kinds.filter((other) => other !== kind) })}
            />
          ))}
          {Object.entries(labels).map(([key, value]) => (
            <Chosen
              key={key}
              name={`${key}=${value}`}
              onRemove={() => {
                const { [key]: _, ...others } = labels;
                onChange({ ...filter, labels: others });
              }}
            />
          ))}
          <button type="button" class="plain" onClick={() => onChange(NO_FILTER)}>
            Clear the filter
          </button>
        </p>
      )}
    </div>
  );
}

function Chosen({ name, onRemove }: { name: string; onRemove: () => void }) {
  return (
    <span class="chip">
      {name}
      <button type="button" class="remove" aria-label={`Remove ${name}`} onClick={onRemove}>
        ×
      </button>
    </span>
  );
}
