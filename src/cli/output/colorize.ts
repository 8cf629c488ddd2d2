import { styleText } from "node:util";

export type Color = "red" | "green" | "yellow" | "cyan" | "dim";

/** Colors a text, or returns it unchanged. */
export type Colorize = (color: Color, text: string) => string;

/** Colors a text if standard output is a terminal. NO_COLOR and FORCE_COLOR take precedence. */
export const colorizeStdout: Colorize = (color, text) => styleText(color, text, { stream: process.stdout });
