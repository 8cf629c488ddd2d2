import type { Identity } from "../../rpc/call/identity.ts";
import { replaceEntries } from "./access-entries.ts";
import type { AccessEntry } from "./access-entries.ts";
import type { FileToken } from "./access-file.ts";
import type { PresentedToken, TokenSource } from "./bearer.ts";
import { Validity } from "./validity.ts";

/** The tokens of the access file. */
export class FileTokens implements TokenSource {
  #entries = new Map<string, AccessEntry<FileToken>>();
  #known = new Map<string, { identity: Identity; validity: Validity }>();

  /** Takes over the tokens of a new file. */
  replace(tokens: readonly FileToken[]): void {
    this.#entries = replaceEntries(this.#entries, new Map(tokens.map((token) => [token.digest, token])));
    this.#known = new Map([...this.#entries].map(([digest, entry]) => [digest, known(entry)]));
  }

  find({ digest }: PresentedToken): Identity | null {
    const found = this.#known.get(digest);
    if (found === undefined) return null;
    found.validity.check();
    return found.identity;
  }
}

function known({ value: { name, grants, limits, expiresAt }, validity: parent }: AccessEntry<FileToken>) {
  const validity = new Validity({ expiresAt, parent });
  const identity: Identity = {
    principal: { ...grants, name },
    limits,
    expiresAt: validity.expiresAt,
    onInvalid: (listener) => validity.onInvalid(listener),
  };
  return { identity, validity };
}
