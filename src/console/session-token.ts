import { signal } from "@preact/signals";

/** The key in sessionStorage, which belongs to this tab and is deleted with it. */
const KEPT_AS = "spool-token";

/** The bearer token of calls; null: none. */
export const sessionToken = signal(sessionStorage.getItem(KEPT_AS));

/** `required`: the server requires a token and there is none. `refused`: the server rejected the token. */
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

/** Handles a rejected token. @param sent the token of the call; a late call may have an older one */
export function tokenRefused(sent: string | null): void {
  if (sent === sessionToken.peek()) tokenState.value = sent === null ? "required" : "refused";
}
