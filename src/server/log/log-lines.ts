import { styleText } from "node:util";
import pretty from "pino-pretty";

/** What is the same in every line of one server: it is for those who gather the lines of many. */
const SAME: ReadonlySet<string> = new Set(["pid", "hostname", "namespace"]);
/** Needs no quotes to be told from what is beside it. */
const PLAIN = /^[\w./:@+[\]-]+$/;
/** What would drive the terminal that shows it. */
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/**
 * Makes lines for people of a log's lines of JSON: the time here, the level, what happened, and the fields behind it as
 * `name=value`; below it an error, with what caused it.
 */
export function linesForPeople({ isColoured }: { isColoured: boolean }): (json: string) => string {
  const toLine = pretty.prettyFactory({
    colorize: isColoured,
    hideObject: true, // They are in the message: as the library writes them, they are long.
    translateTime: "SYS:HH:MM:ss.l",
    ignore: [...SAME].join(","),
    messageFormat: (log) => toMessage(log, { isColoured }),
  });
  return (json) => toLine(json);
}

/** Whether stderr takes colours: NO_COLOR, FORCE_COLOR and the terminal say so. */
export function takesColours(): boolean {
  return styleText("bold", "x", { stream: process.stderr }) !== "x";
}

function toMessage(
  { level: _level, time: _time, msg, err, ...rest }: Readonly<Record<string, unknown>>,
  { isColoured }: { isColoured: boolean },
): string {
  const fields = Object.entries(rest).filter(([name]) => !SAME.has(name));
  const shown = fields.map(([name, value]) => escapeLine(`${name}=${toValue(value)}`)).join(" ");
  const grey = isColoured ? styleText("gray", shown, { validateStream: false }) : shown;
  const line = [escapeLine(typeof msg === "string" ? msg : ""), ...(shown === "" ? [] : [grey])].join(" ");
  return [line, ...errorLines(err, "")].join("\n");
}

function toValue(value: unknown): string {
  if (typeof value === "string" && PLAIN.test(value)) return value;
  return JSON.stringify(value);
}

/** An error's stack, or what else was thrown, and below it what caused it. */
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
