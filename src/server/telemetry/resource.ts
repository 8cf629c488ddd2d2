import { randomUUID } from "node:crypto";
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from "@opentelemetry/resources";
import type { Resource } from "@opentelemetry/resources";
import packageJson from "../../../package.json" with { type: "json" };

/**
 * Who this process is, to those who gather telemetry: `spool`, its version, and an instance of its own. What
 * OTEL_RESOURCE_ATTRIBUTES says counts before that, and OTEL_SERVICE_NAME before both.
 */
export function telemetryResource({ namespace }: { namespace: string }): Resource {
  const ours = resourceFromAttributes({
    "service.name": "spool",
    "service.version": packageJson.version,
    "service.instance.id": randomUUID(),
    "spool.namespace": namespace,
  });
  const said = detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] });
  return defaultResource().merge(ours).merge(said);
}
