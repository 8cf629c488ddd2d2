import { signal } from "@preact/signals";

/** How the page stands with the server. A page that asks now and then is live as long as it is answered. */
export type Connection = "idle" | "connecting" | "live" | "lost";

export const connection = signal<Connection>("idle");
