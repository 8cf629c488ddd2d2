import { signal } from "@preact/signals";

/** The key in sessionStorage, which belongs to this tab and is deleted with it. */
const STORAGE_KEY = "spool-token";

/** The bearer token of calls; null: none. */
export const sessionToken = signal(sessionStorage.getItem(STORAGE_KEY));

/** `required`: the server requires a token and there is none. `refused`: the server rejected the token. */
export const tokenState = signal<"unasked" | "required" | "refused">("unasked");

export function keepToken(given: string): void {
  sessionStorage.setItem(STORAGE_KEY, given);
  sessionToken.value = given;
  tokenState.value = "unasked";
}

export function forgetToken(): void {
  sessionStorage.removeItem(STORAGE_KEY);
  sessionToken.value = null;
}

/** Handles a rejected token. @param sent the token of the call; a late call may have an older one */
export function tokenRefused(sent: string | null): void {
  if (sent === sessionToken.peek()) tokenState.value = sent === null ? "required" : "refused";
}
