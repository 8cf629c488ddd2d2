import { isSpanContextValid, trace } from "@opentelemetry/api";
import { SamplingDecision } from "@opentelemetry/sdk-trace";
import type { Sampler } from "@opentelemetry/sdk-trace";
import { isSampled } from "../../telemetry/trace-context.ts";

/**
 * Creates a sampler that samples a span without parent like the span that it links to. So the attempts of a task are
 * sampled together with its start; a separate decision would leave most starts without their attempts. Other spans are
 * left to `others`.
 */
export function linkedSampler(others: Sampler): Sampler {
  return {
    shouldSample(context, ...span) {
      const [, , , , links] = span;
      const parent = trace.getSpanContext(context);
      const cause = links[0]?.context;
      if (cause === undefined || (parent !== undefined && isSpanContextValid(parent))) {
        return others.shouldSample(context, ...span);
      }
      return { decision: isSampled(cause) ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD };
    },
    toString: () => `LinkedSampler{${others.toString()}}`,
  };
}
