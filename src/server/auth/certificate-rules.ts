import { LRUCache } from "lru-cache";
import { ALL_GRANTS, matchesAny } from "../../domain/principal.ts";
import { lastingIdentity } from "../../rpc/call/identity.ts";
import type { ClientCertificate, Identity } from "../../rpc/call/identity.ts";
import { replaceEntries } from "./access-entries.ts";
import type { AccessEntry } from "./access-entries.ts";
import type { CertificateRule } from "./access-file.ts";
import type { CertificateSource } from "./authenticate.ts";
import { CallerLimits } from "./caller-limits.ts";

/** How many callers are cached. */
const CALLERS_MAX = 10_000;

/** The callers with client certificates. The first rule that matches one of the names of a certificate counts. */
export class CertificateRules implements CertificateSource {
  #entries = new Map<string, AccessEntry<CertificateRule>>();
  readonly #callers = new LRUCache<string, Identity>({ max: CALLERS_MAX });
  readonly #limits = new CallerLimits();

  /** Takes over the rules of a new file. */
  replace(rules: readonly CertificateRule[]): void {
    this.#entries = replaceEntries(this.#entries, new Map(rules.map((rule) => [rule.match, rule])));
    this.#callers.clear();
  }

  findCertificate(certificate: ClientCertificate): Identity | null {
    const names = namesOf(certificate);
    for (const [match, { value, validity }] of this.#entries) {
      const name = names.find((candidate) => matchesAny([match], candidate));
      if (name === undefined) continue;
      const key = `${match}\n${name}`;
      let identity = this.#callers.get(key);
      if (identity === undefined) {
        const principal = { ...value.grants, name: value.name ?? withoutType(name) };
        const limits = this.#limits.of(value.limits, principal.name);
        identity = { principal, limits, onInvalid: (listener) => validity.onInvalid(listener) };
        this.#callers.set(key, identity);
      }
      return identity;
    }
    return null;
  }
}

/** Admits every client certificate of the authority, with all rights. */
export function anyCertificate(): CertificateSource {
  const callers = new LRUCache<string, Identity>({ max: CALLERS_MAX });
  return {
    findCertificate(certificate) {
      const [name = ""] = namesOf(certificate);
      let identity = callers.get(name);
      if (identity === undefined) {
        identity = lastingIdentity({ ...ALL_GRANTS, name: withoutType(name) || "certificate" });
        callers.set(name, identity);
      }
      return identity;
    },
  };
}

/** Returns the names of a certificate with their types. A name that ends in `*`, as of a wildcard, is only a name. */
function namesOf({ commonName, alternativeNames }: ClientCertificate): string[] {
  return [...alternativeNames, ...(commonName === "" ? [] : [`CN:${commonName}`])];
}

function withoutType(name: string): string {
  return name.slice(name.indexOf(":") + 1);
}
