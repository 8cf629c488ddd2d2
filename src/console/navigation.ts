import { computed, signal } from "@preact/signals";
import { formatRoute, parseRoute } from "./route.ts";
import type { Route } from "./route.ts";

const fragment = signal(location.hash);
addEventListener("hashchange", () => (fragment.value = location.hash));

/** The current route. */
export const route = computed(() => parseRoute(fragment.value));

export function navigate(to: Route): void {
  location.hash = formatRoute(to);
}

/** Like navigate, but replaces the current entry in the browser's history. */
export function redirect(to: Route): void {
  location.replace(formatRoute(to));
}
