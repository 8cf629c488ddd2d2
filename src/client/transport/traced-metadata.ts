import { context, propagation, trace } from "@opentelemetry/api";
import type { TextMapSetter } from "@opentelemetry/api";
import type { Metadata } from "@grpc/grpc-js";

const setter: TextMapSetter<Metadata> = { set: (metadata, key, value) => metadata.set(key, value) };

/**
 * Returns the metadata of a call. Within a span, it includes the trace context, as the propagators of this process
 * write it.
 */
export function tracedMetadata(metadata: Metadata): Metadata {
  if (trace.getActiveSpan() === undefined) return metadata;
  const traced = metadata.clone();
  propagation.inject(context.active(), traced, setter);
  return traced;
}
