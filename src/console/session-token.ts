import { signal } from "@preact/signals";

/** Of this tab alone; it is gone when the tab is closed. */
const KEPT_AS = "spool-token";

/** The bearer token that calls are made with; null: none. */
export const sessionToken = signal(sessionStorage.getItem(KEPT_AS));

/** `required`: the server wants one, and there is none; `refused`: it does not take the one that it was given. */
export const tokenState = signal<"unasked" | "required" | "refused">("unasked");

export function keepToken(given: string): void {
  sessionStorage.setItem(KEPT_AS, given);
  sessionToken.value = given;
  tokenState.value = "unasked";
}

export function forgetToken(): void {
  sessionStorage.removeItem(KEPT_AS);
  sessionToken.value = null;
}

/** The server has refused a call for want of a right token. @param sent what the call had; one that is late may have another */
export function tokenRefused(sent: string | null): void {
  if (sent === sessionToken.peek()) tokenState.value = sent === null ? "required" : "refused";
}
