import { useId, useState } from "preact/hooks";

interface SubmitFieldProps<Value> {
  name: string;
  /** The text of the button, and its full name for screen readers. */
  action: string;
  actionName: string;
  hint?: string | undefined;
  /** Texts to offer. */
  options?: readonly string[] | undefined;
  /** Said of a text that cannot be read. */
  problem: string;
  /** Returns the value of a text; null: the text is invalid. */
  read: (text: string) => Value | null;
  onSubmit: (value: Value) => void;
}

/** A text field with a button of its own. The text is checked when it is submitted, and cleared if it is valid. */
export function SubmitField<Value>(props: SubmitFieldProps<Value>) {
  const { name, action, actionName, hint, options = [], problem, read, onSubmit } = props;
  const id = useId();
  const [text, setText] = useState("");
  const [isWrong, setWrong] = useState(false);
  return (
    <form
      class="field submit-field"
      onSubmit={(event) => {
        event.preventDefault();
        const value = read(text.trim());
        setWrong(value === null);
        if (value === null) return;
        setText("");
        onSubmit(value);
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
      <button type="submit" aria-label={actionName}>
        {action}
      </button>
      {isWrong && (
        <span id={`${id}-wrong`} class="violation" role="alert">
          {problem}
        </span>
      )}
    </form>
  );
}
