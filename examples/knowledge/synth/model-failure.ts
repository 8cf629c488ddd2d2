import type OpenAI from "openai";

/** One source got no page, and the work goes on with the next. The message is for callers. */
export class SourceFailed extends Error {
  override readonly name = "SourceFailed";
}

export interface ModelFailure {
  /** One of a few words, or an HTTP status. */
  type: string;
  message: string;
  /** Whether no source would get an answer. */
  isRefusal: boolean;
}

/** The name of a problem, as model servers give it: context_length_exceeded. Nothing that could be a key. */
const PROBLEM = /^[a-z]+(?:_[a-z]+)*$/;
const PROBLEM_CHARS_MAX = 64;

const REFUSALS = new Set([401, 403]);

/**
 * What went wrong, in words of our own: a server's answer may repeat the key that it refuses, so none of its text goes
 * on a tape, but for the name of the problem.
 *
 * @param library the module's default export, which has its error classes
 * @param timedOutMs how long was waited for all of the answer, where that was too long; else null
 */
export function failureOf(
  error: unknown,
  { library, timedOutMs }: { library: typeof OpenAI; timedOutMs: number | null },
): ModelFailure {
  if (timedOutMs !== null) return passing("timeout", `the model gave no complete answer within ${timedOutMs} ms`);
  if (error instanceof SourceFailed) return passing("unusable_answer", error.message);
  if (error instanceof library.APIConnectionError) {
    return passing("unreachable", `the model server cannot be reached${inBrackets(causeCode(error))}`);
  }
  if (error instanceof library.APIError) {
    const { status, code }: { status: unknown; code: unknown } = error;
    const problem = inBrackets(typeof code === "string" && isProblem(code) ? code : null);
    if (typeof status !== "number") return passing("broken_off", `the model server broke the answer off${problem}`);
    const message = `the model server answered HTTP ${status}${problem}`;
    return { type: `${status}`, message, isRefusal: REFUSALS.has(status) };
  }
  return passing("broken_off", `the answer of the model broke off${inBrackets(causeCode(error))}`);
}

/** It concerns one answer. */
function passing(type: string, message: string): ModelFailure {
  return { type, message, isRefusal: false };
}

function isProblem(code: string): boolean {
  return code.length <= PROBLEM_CHARS_MAX && PROBLEM.test(code);
}

/** The code of the system call below, such as ECONNREFUSED, however deep it is wrapped. */
function causeCode(error: unknown): string | null {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && typeof cause.code === "string") return cause.code;
  }
  return null;
}

function inBrackets(text: string | null): string {
  return text === null ? "" : ` (${text})`;
}
