import { styleText } from "node:util";

export type Colour = "red" | "green" | "yellow" | "cyan" | "dim";

/** Colours a text, or leaves it as it is. */
export type Paint = (colour: Colour, text: string) => string;

/** Colours for standard output: only on a terminal, and as NO_COLOR and FORCE_COLOR say. */
export const paintStdout: Paint = (colour, text) => styleText(colour, text, { stream: process.stdout });
