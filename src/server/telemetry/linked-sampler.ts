import { isSpanContextValid, trace } from "@opentelemetry/api";
import { SamplingDecision } from "@opentelemetry/sdk-trace";
import type { Sampler } from "@opentelemetry/sdk-trace";
import { isSampled } from "../../telemetry/trace-context.ts";

/**
 * Samples what has no parent and is linked to another span as that one was: the attempts at a task are told of where its
 * start was, and not by a draw of their own, which would leave most starts without their attempts. The rest is left to
 * another sampler.
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
