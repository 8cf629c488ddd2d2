import type { StartFields } from "./start-request.ts";

/** Rows of label keys and values. */
export function LabelFields({
  labels,
  problems = [],
  onChange,
}: {
  labels: StartFields["labels"];
  problems: readonly string[] | undefined;
  onChange: (labels: StartFields["labels"]) => void;
}) {
  const replace = (index: number, change: Partial<{ key: string; value: string }>) =>
    onChange(labels.map((label, place) => (place === index ? { ...label, ...change } : label)));
  return (
    <fieldset class="label-fields">
      <legend>Labels</legend>
      {labels.map(({ key, value }, index) => (
        <div key={index} class="label-row">
          <input
            aria-label={`Key of label ${index + 1}`}
            value={key}
            placeholder="key"
            autocomplete="off"
            onInput={(event) => replace(index, { key: event.currentTarget.value })}
          />
          <input
            aria-label={`Value of label ${index + 1}`}
            value={value}
            placeholder="value"
            autocomplete="off"
            onInput={(event) => replace(index, { value: event.currentTarget.value })}
          />
          <button
            type="button"
            aria-label={`Remove label ${index + 1}`}
            onClick={() => onChange(labels.filter((_, place) => place !== index))}
          >
            ×
          </button>
        </div>
      ))}
      <button type="button" onClick={() => onChange([...labels, { key: "", value: "" }])}>
        Add a label
      </button>
      <span class="violation" role="alert">
        {problems.join("; ")}
      </span>
    </fieldset>
  );
}
