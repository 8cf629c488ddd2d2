import { once } from "node:events";
import { escapeJson, escapeText } from "./escape-text.ts";
import { EXIT } from "../exit-codes.ts";

/** JSON.rawJSON writes a number as it is told to: a seq that is larger than a double holds exactly. */
declare global {
  interface JSON {
    rawJSON(text: string): unknown;
  }
}

/** Writes to standard output, at the pace at which it is read. */
export async function writeOut(text: string): Promise<void> {
  if (text !== "" && !process.stdout.write(text)) await once(process.stdout, "drain");
}

export function writeError(text: string): void {
  process.stderr.write(text);
}

/** Tells people something on stderr, or programs, in one JSON object. */
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
 * A value as JSON on one line, or indented: bigints are numbers and dates ISO 8601. No control character is in it, so
 * that it may be shown on a terminal.
 */
export function jsonText(value: unknown, { indent = 0 }: { indent?: number } = {}): string {
  const exact = (_key: string, member: unknown) => (typeof member === "bigint" ? JSON.rawJSON(String(member)) : member);
  return escapeJson(JSON.stringify(value, exact, indent));
}

/** JSON for people where standard output is a terminal, and on one line for programs. */
export function resultText(value: unknown): string {
  return jsonText(value, process.stdout.isTTY ? { indent: 2 } : {});
}

/** A command whose reader has left (`| head`) has nobody to tell: it ends, and says nothing. */
export function endOnBrokenPipe(): void {
  const end = (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(EXIT.brokenPipe);
  };
  process.stdout.on("error", end);
  process.stderr.on("error", end);
}
