import { signal } from "@preact/signals";

/** The state of the page's connection. A page that polls is live as long as it gets answers. */
export type Connection = "idle" | "connecting" | "live" | "lost";

export const connection = signal<Connection>("idle");
