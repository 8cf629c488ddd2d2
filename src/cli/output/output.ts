import { once } from "node:events";
import { escapeJson, escapeText } from "./escape-text.ts";
import { EXIT } from "../exit-codes.ts";

/** JSON.rawJSON writes a number verbatim, so a seq above 2^53 stays exact. */
declare global {
  interface JSON {
    rawJSON(text: string): unknown;
  }
}

/** Writes to standard output, and waits while its reader is slow. */
export async function writeOut(text: string): Promise<void> {
  if (text !== "" && !process.stdout.write(text)) await once(process.stdout, "drain");
}

export function writeError(text: string): void {
  process.stderr.write(text);
}

/** Writes a notice to stderr: `lines` for people, or with `json` one object of `fields` for programs. */
export function writeNotice({
  json,
  lines,
  fields,
}: {
  json: boolean;
  lines: readonly string[];
  fields: Readonly<Record<string, unknown>>;
}): void {
  writeError(json ? `${jsonText(fields)}\n` : lines.map((line) => `${escapeText(line)}\n`).join(""));
}

/**
 * Returns a value as JSON on one line, or indented. A bigint becomes a number, a date ISO 8601. Control characters are
 * escaped, so a terminal can show the text.
 */
export function jsonText(value: unknown, { indent = 0 }: { indent?: number } = {}): string {
  const exact = (_key: string, member: unknown) => (typeof member === "bigint" ? JSON.rawJSON(String(member)) : member);
  return escapeJson(JSON.stringify(value, exact, indent));
}

/** Returns a value as JSON: indented if standard output is a terminal, else on one line. */
export function resultText(value: unknown): string {
  return jsonText(value, process.stdout.isTTY ? { indent: 2 } : {});
}

/** Exits without a message when the reader of the output closes the pipe, as `| head` does. */
export function exitOnBrokenPipe(): void {
  const exit = (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(EXIT.brokenPipe);
  };
  process.stdout.on("error", exit);
  process.stderr.on("error", exit);
}
