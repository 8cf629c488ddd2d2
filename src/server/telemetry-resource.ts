import { randomUUID } from "node:crypto";
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import type { Resource } from "@opentelemetry/resources";
import packageJson from "../../package.json" with { type: "json" };

/** Who tells what is told by OTLP: this process, as OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have it. */
export function telemetryResource({ namespace }: { namespace: string }): Resource {
  return defaultResource()
    .merge(
      resourceFromAttributes({
        "service.name": "spool",
        "service.version": packageJson.version,
        "service.instance.id": randomUUID(),
        "spool.namespace": namespace,
      }),
    )
    .merge(detectResources({ detectors: [envDetector] }));
}
