import type { Scope } from "../../domain/principal.ts";
import type { Route } from "../route.ts";
import { session } from "./session.ts";

// The server checks each call. The page only spares callers what the server would refuse.

/** Returns why the caller may not do what needs a scope; null: the caller may. */
export function lackOf(scope: Scope): string | null {
  const caller = session.value?.caller;
  if (!caller || caller.scopes.includes(scope)) return null;
  return `${caller.name} needs the scope ${scope}.`;
}

/** Returns why the caller may not use a page; null: the caller may. */
export function lackOfPage(page: Route["page"]): string | null {
  switch (page) {
    case "tasks":
    case "task":
      return lackOf("tasks:read");
    case "start":
      return lackOf("tasks:start");
    case "overview":
      return lackOf("tasks:read") ?? lackOfLabels();
    case "unknown":
      return null;
  }
}

function lackOfLabels(): string | null {
  const { name = "", labels = {} } = session.value?.caller ?? {};
  const isRestricted = Object.keys(labels).length > 0;
  return isRestricted ? `${name} sees only tasks with some labels, and activity is not counted by label.` : null;
}
