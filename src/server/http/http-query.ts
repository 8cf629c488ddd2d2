import { SpoolError } from "../../domain/errors.ts";
import { Checks } from "../../rpc/validation/checks.ts";
import type { HttpRequest } from "./http-server.ts";

/** The query of a request. @throws SpoolError where it is not UTF-8, percent-encoded: nothing in it is mangled */
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

/** The checks of a request whose fields are the parameters of its query. */
export class QueryChecks extends Checks {
  readonly #query: URLSearchParams;

  /** @param known the parameters that there are; any other is refused */
  constructor(query: URLSearchParams, known: readonly string[]) {
    super();
    this.#query = query;
    for (const name of new Set(query.keys())) {
      if (!known.includes(name)) this.refuse(name, `is no parameter here: there are ${known.join(", ")}`);
    }
  }

  /** The value of a parameter that may be given once; an empty one counts as none. */
  one(name: string): string | undefined {
    const values = this.#query.getAll(name);
    if (values.length > 1) this.refuse(name, "must be given once");
    return values[0] || undefined;
  }

  all(name: string): string[] {
    return this.#query.getAll(name);
  }
}
