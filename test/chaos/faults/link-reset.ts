import { cutFault } from "./cut-link.ts";

/** Connections are reset. */
export const linkReset = cutFault("link-reset", "reset");
