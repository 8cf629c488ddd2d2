import { between } from "../workload/choices.ts";
import { pickLink } from "./cut-link.ts";
import type { Fault } from "./fault.ts";

const DELAY_MS_MAX = 1_500;

/** What is sent over a link takes long. */
export const linkDelay: Fault = {
  name: "link-delay",
  lane: "links",
  isPossible: () => true,
  async inject(context) {
    const { name, relay } = pickLink(context);
    relay.delayMs = Math.round(between(context.random, 20, DELAY_MS_MAX));
    const details = { target: `link of ${name}`, delayMs: relay.delayMs };
    try {
      await context.hold(500, 5_000);
    } finally {
      relay.delayMs = 0;
    }
    return details;
  },
};
