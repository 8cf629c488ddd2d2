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
 * Returns the attributes that identify this process in telemetry: `spool`, its version, a random instance id and the
 * namespace. OTEL_RESOURCE_ATTRIBUTES takes precedence, and OTEL_SERVICE_NAME over both.
 */
export function telemetryResource({ namespace }: { namespace: string }): Resource {
  const ours = resourceFromAttributes({
    "service.name": "spool",
    "service.version": packageJson.version,
    "service.instance.id": randomUUID(),
    "spool.namespace": namespace,
  });
  const configured = detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] });
  return defaultResource().merge(ours).merge(configured);
}
