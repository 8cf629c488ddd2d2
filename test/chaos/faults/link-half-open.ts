import { cutSome, pickLink } from "./cut-link.ts";
import type { Fault } from "./fault.ts";

/** Nothing comes through connections that stay open, at both ends or at one of them. */
export const linkHalfOpen: Fault = {
  name: "link-half-open",
  lane: "links",
  isPossible: () => true,
  async inject(context) {
    const link = pickLink(context);
    const manners = ["silent", "silent to the server", "silent to the worker"] as const;
    const details = cutSome(link, { random: context.random, manners });
    if (details === null) return null;
    try {
      await context.hold(500, 8_000);
    } finally {
      link.relay.endSilence();
    }
    return details;
  },
};
