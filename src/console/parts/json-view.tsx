import { useState } from "preact/hooks";
import type { JsonObject, JsonValue } from "../../domain/json.ts";
import { formatCount } from "../format.ts";

/** How many members are shown at first, and added per click. */
const MEMBERS_MAX = 100;
/** How many characters of a string are shown at first. */
const STRING_CHARS_MAX = 2_000;

/** A JSON value as a tree. Closed branches are not rendered. */
export function JsonView({ value, open = 1 }: { value: JsonValue; open?: number }) {
  return (
    <div class="json">
      <Node value={value} open={open} />
    </div>
  );
}

function Node({ name, value, open }: { name?: string; value: JsonValue; open: number }) {
  if (typeof value === "object" && value !== null) return <Branch name={name} value={value} open={open} />;
  return (
    <div class="json-leaf">
      <Name name={name} />
      {typeof value === "string" ? <Text text={value} /> : <span class="json-value">{String(value)}</span>}
    </div>
  );
}

function Branch({
  name,
  value,
  open,
}: {
  name: string | undefined;
  value: JsonObject | readonly JsonValue[];
  open: number;
}) {
  const [isOpen, setOpen] = useState(open > 0);
  const [shown, setShown] = useState(MEMBERS_MAX);
  const isList = Array.isArray(value);
  const keys = Object.keys(value);
  const count = isList ? `[${formatCount(keys.length)}]` : `{${formatCount(keys.length)}}`;
  if (keys.length === 0) {
    return (
      <div class="json-leaf">
        <Name name={name} />
        <span class="json-value">{isList ? "[]" : "{}"}</span>
      </div>
    );
  }
  return (
    <details open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <Name name={name} />
        <span class="json-count">{count}</span>
      </summary>
      {isOpen && (
        <div class="json-members">
          {keys.slice(0, shown).map((key) => (
            <Node key={key} name={key} value={(value as JsonObject)[key]!} open={open - 1} />
          ))}
          {keys.length > shown && (
            <button type="button" class="plain" onClick={() => setShown(shown + MEMBERS_MAX)}>
              {formatCount(keys.length - shown)} more
            </button>
          )}
        </div>
      )}
    </details>
  );
}

function Name({ name }: { name: string | undefined }) {
  return name === undefined ? null : <span class="json-name">{name}: </span>;
}

function Text({ text }: { text: string }) {
  const [isWhole, setWhole] = useState(text.length <= STRING_CHARS_MAX);
  return (
    <>
      <span class="json-string">{isWhole ? text : text.slice(0, STRING_CHARS_MAX)}</span>
      {!isWhole && (
        <button type="button" class="plain" onClick={() => setWhole(true)}>
          … {formatCount(text.length - STRING_CHARS_MAX)} more characters
        </button>
      )}
    </>
  );
}
