import type OpenAI from "openai";

/** One source got no page, and the work goes on with the next. The message is for callers. */
export class SourceFailed extends Error {
  override readonly name = "SourceFailed";
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
 */
export function failureOf(error: unknown, library: typeof OpenAI): { message: string; isRefusal: boolean } {
  if (error instanceof library.APIConnectionError) {
    return { message: `the model server cannot be reached${inBrackets(causeCode(error))}`, isRefusal: false };
  }
  if (error instanceof library.APIError) {
    const { status, code }: { status: unknown; code: unknown } = error;
    const problem = inBrackets(typeof code === "string" && isProblem(code) ? code : null);
    if (typeof status !== "number")
      return { message: `the model server broke the answer off${problem}`, isRefusal: false };
    return { message: `the model server answered HTTP ${status}${problem}`, isRefusal: REFUSALS.has(status) };
  }
  return { message: `the answer of the model broke off${inBrackets(causeCode(error))}`, isRefusal: false };
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
