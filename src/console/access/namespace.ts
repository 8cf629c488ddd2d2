import { signal } from "@preact/signals";
import { impliedNamespace } from "../../domain/access.ts";
import { NAMESPACE_NAME } from "../../domain/namespace-name.ts";
import { ANY } from "../../domain/principal.ts";
import type { Caller } from "./session.ts";

const PARAMETER = "namespace";

/**
 * The namespace that the URL chooses, before the fragment: the links of the page keep it, and so does a URL that one
 * person sends to another. null: none.
 */
export const chosenNamespace = namespaceIn(location.search);

function namespaceIn(search: string): string | null {
  const name = new URLSearchParams(search).get(PARAMETER);
  return name !== null && NAMESPACE_NAME.test(name) ? name : null;
}

/** The namespaces that the server has listed. Empty: it has not. */
export const listedNamespaces = signal<readonly string[]>([]);

/** Returns the namespace that the page shows; null: the caller must choose one. */
export function shownNamespace({ namespaces, defaultNamespace }: Caller): string | null {
  return chosenNamespace ?? impliedNamespace(namespaces, defaultNamespace);
}

/** Returns the namespaces that the caller may use, as far as they are known. */
export function knownNamespaces(caller: Caller): string[] {
  const exact = caller.namespaces.filter((pattern) => !pattern.endsWith(ANY));
  const shown = shownNamespace(caller) ?? [];
  return [...new Set([...exact, ...listedNamespaces.value].concat(shown))].sort();
}

/** Whether the caller may use namespaces that are not known, so that it must be able to type a name. */
export function hasUnknownNamespaces({ namespaces, scopes }: Caller): boolean {
  return !scopes.includes("admin") && namespaces.some((pattern) => pattern.endsWith(ANY));
}

/** Loads the page for another namespace, which also drops what was read of this one. */
export function openNamespace(name: string): void {
  const url = new URL(location.href);
  url.searchParams.set(PARAMETER, name);
  url.hash = "#/tasks";
  location.assign(url);
}
