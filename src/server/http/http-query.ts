import { SpoolError } from "../../domain/errors.ts";
import { Checks } from "../../rpc/validation/checks.ts";
import type { HttpRequest } from "./http-server.ts";

/** Parses the query of a request. @throws SpoolError if the query is not percent-encoded UTF-8 */
export function readQuery({ url = "" }: HttpRequest): URLSearchParams {
  const start = url.indexOf("?");
  const query = start === -1 ? "" : url.slice(start + 1);
  try {
    decodeURIComponent(query);
  } catch (cause) {
    throw new SpoolError("INVALID_ARGUMENT", "the query must be UTF-8, percent-encoded", { cause });
  }
  return new URLSearchParams(query);
}

/** Validates a request whose fields are query parameters. */
export class QueryChecks extends Checks {
  readonly #query: URLSearchParams;

  /** @param known the known parameters; any other is refused */
  constructor(query: URLSearchParams, known: readonly string[]) {
    super();
    this.#query = query;
    for (const name of new Set(query.keys())) {
      if (!known.includes(name)) this.refuse(name, `unknown parameter; known parameters: ${known.join(", ")}`);
    }
  }

  /** Returns the value of a parameter that may occur once. An empty value counts as absent. */
  one(name: string): string | undefined {
    const values = this.#query.getAll(name);
    if (values.length > 1) this.refuse(name, "must be given once");
    return values[0] || undefined;
  }

  all(name: string): string[] {
    return this.#query.getAll(name);
  }
}
