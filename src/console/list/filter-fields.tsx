import { useId, useState } from "preact/hooks";
import { TASK_STATUSES } from "../../domain/task.ts";
import type { TaskStatus } from "../../domain/task.ts";
import { knownKinds } from "../known-kinds.ts";
import { NO_FILTER, parseLabel } from "../route.ts";
import type { TaskFilter } from "../route.ts";

/** The fields of the list filter. */
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
      <AddField
        name="Kind"
        options={knownKinds.value}
        read={(text) => (text === "" ? null : { ...filter, kinds: [...new Set([...kinds, text])] })}
        onAdd={onChange}
      />
      <AddField
        name="Label"
        hint="key=value"
        read={(text) => {
          const label = parseLabel(text);
          return label && { ...filter, labels: { ...labels, [label[0]]: label[1] } };
        }}
        onAdd={onChange}
      />
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

/** A field that adds its text to the filter. */
function AddField({
  name,
  hint,
  options = [],
  read,
  onAdd,
}: {
  name: string;
  hint?: string;
  options?: readonly string[];
  /** Returns the new filter; null: the text is invalid. */
  read: (text: string) => TaskFilter | null;
  onAdd: (filter: TaskFilter) => void;
}) {
  const id = useId();
  const [text, setText] = useState("");
  const [isWrong, setWrong] = useState(false);
  return (
    <form
      class="field"
      onSubmit={(event) => {
        event.preventDefault();
        const added = read(text.trim());
        setWrong(added === null);
        if (added === null) return;
        setText("");
        onAdd(added);
      }}
    >
      <label for={id}>{name}</label>
      <input
        id={id}
        value={text}
        placeholder={hint}
        list={options.length > 0 ? `${id}-options` : undefined}
        aria-invalid={isWrong}
        aria-describedby={isWrong ? `${id}-wrong` : undefined}
        autocomplete="off"
        onInput={(event) => setText(event.currentTarget.value)}
      />
      {options.length > 0 && (
        <datalist id={`${id}-options`}>
          {options.map((option) => (
            <option key={option} value={option} />
          ))}
        </datalist>
      )}
      <button type="submit" aria-label={`Add ${name.toLowerCase()}`}>
        Add
      </button>
      {isWrong && (
        <span id={`${id}-wrong`} class="violation" role="alert">
          {hint ? `must be ${hint}` : "must not be empty"}
        </span>
      )}
    </form>
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
