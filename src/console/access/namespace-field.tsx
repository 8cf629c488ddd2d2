import { useEffect, useState } from "preact/hooks";
import { adminCalls, answered } from "../calls.ts";
import { hasUnknownNamespaces, knownNamespaces, listedNamespaces, openNamespace, shownNamespace } from "./namespace.ts";
import type { Caller } from "./session.ts";

/** Shows the namespace, and lets the caller change to another. Nothing if the caller has only one. */
export function NamespaceField({ caller }: { caller: Caller }) {
  const isAdmin = caller.scopes.includes("admin");
  useEffect(() => {
    if (isAdmin) void readNamespaces();
  }, [isAdmin]);
  const known = knownNamespaces(caller);
  const shown = shownNamespace(caller);
  if (hasUnknownNamespaces(caller)) return <TypedNamespace known={known} shown={shown ?? ""} />;
  if (known.length < 2) return null;
  return (
    <label class="field inline">
      <span>Namespace</span>
      <select value={shown ?? ""} onChange={(event) => openNamespace(event.currentTarget.value)}>
        {shown === null && <option value="">choose one</option>}
        {known.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
}

function TypedNamespace({ known, shown }: { known: readonly string[]; shown: string }) {
  const [name, setName] = useState(shown);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        openNamespace(name);
      }}
    >
      <label class="field inline">
        <span>Namespace</span>
        <input
          value={name}
          list="known-namespaces"
          required
          pattern="[A-Za-z0-9._\-]{1,63}"
          title="1 to 63 of A-Z a-z 0-9 . _ -"
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => setName(event.currentTarget.value)}
        />
      </label>
      <datalist id="known-namespaces">
        {known.map((each) => (
          <option key={each} value={each} />
        ))}
      </datalist>
    </form>
  );
}

/** Reads the namespaces of the service. A failure is ignored: the page works without the list. */
async function readNamespaces(): Promise<void> {
  try {
    const { namespaces } = await answered(adminCalls.listNamespaces({}));
    listedNamespaces.value = namespaces.map(({ name }) => name);
  } catch {
    // Keeps the previous ones.
  }
}
