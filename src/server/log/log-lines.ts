import { styleText } from "node:util";
import pretty from "pino-pretty";

/** Fields that are the same in every line of a server. They are for tools that collect the logs of many servers. */
const CONSTANT_FIELDS: ReadonlySet<string> = new Set(["pid", "hostname", "namespace"]);
/** A value that needs no quotes. */
const PLAIN = /^[\w./:@+[\]-]+$/;
/** Characters that could control the terminal. */
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/**
 * Returns a formatter from a log line of JSON to a line for people: local time, level, message, and the fields as
 * `name=value`. An error and its causes follow below.
 */
export function linesForPeople({ isColored }: { isColored: boolean }): (json: string) => string {
  const toLine = pretty.prettyFactory({
    colorize: isColored,
    hideObject: true, // The message contains the fields: the library would write each on a line of its own.
    translateTime: "SYS:HH:MM:ss.l",
    ignore: [...CONSTANT_FIELDS].join(","),
    messageFormat: (log) => toMessage(log, { isColored }),
  });
  return (json) => toLine(json);
}

/** Whether stderr supports colors, by NO_COLOR, FORCE_COLOR and the terminal. */
export function supportsColors(): boolean {
  return styleText("bold", "x", { stream: process.stderr }) !== "x";
}

function toMessage(
  { level: _level, time: _time, msg, err, ...rest }: Readonly<Record<string, unknown>>,
  { isColored }: { isColored: boolean },
): string {
  const fields = Object.entries(rest).filter(([name]) => !CONSTANT_FIELDS.has(name));
  const shown = fields.map(([name, value]) => escapeLine(`${name}=${toValue(value)}`)).join(" ");
  const grey = isColored ? styleText("gray", shown, { validateStream: false }) : shown;
  const line = [escapeLine(typeof msg === "string" ? msg : ""), ...(shown === "" ? [] : [grey])].join(" ");
  return [line, ...errorLines(err, "")].join("\n");
}

function toValue(value: unknown): string {
  if (typeof value === "string" && PLAIN.test(value)) return value;
  return JSON.stringify(value);
}

/** Formats an error's stack, or another thrown value, and its causes below. */
function errorLines(err: unknown, introduction: string): string[] {
  if (err === undefined) return [];
  if (typeof err !== "object" || err === null) return [escapeLine(`    ${introduction}${JSON.stringify(err)}`)];
  const { stack, message, cause, ...rest } = err as Readonly<Record<string, unknown>>;
  const text = stack || message;
  const lines = typeof text === "string" ? text.split("\n") : [JSON.stringify(rest)];
  const indented = lines.map((line, index) => escapeLine(`    ${index === 0 ? introduction : ""}${line}`));
  return [...indented, ...errorLines(cause, "caused by ")];
}

function escapeLine(text: string): string {
  return text.replace(UNSAFE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
