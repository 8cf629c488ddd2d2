import { cutFault } from "./cut-link.ts";

/** Connections are reset in the middle of a message. */
export const linkTorn = cutFault("link-torn", "torn");
