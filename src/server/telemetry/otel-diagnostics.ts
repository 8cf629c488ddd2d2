import { diag, DiagLogLevel } from "@opentelemetry/api";
import type { Logger } from "pino";

/** Logs the diagnostics of OpenTelemetry's SDK at warn and above: failed exports, invalid variables. */
export function logOtelDiagnostics(log: Logger): void {
  const warn = (...parts: unknown[]) => log.warn(`telemetry: ${parts.map(String).join(" ")}`);
  const ignore = () => {};
  diag.setLogger(
    { error: warn, warn, info: ignore, debug: ignore, verbose: ignore },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}
