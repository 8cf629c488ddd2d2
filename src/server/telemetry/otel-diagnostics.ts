import { diag, DiagLogLevel } from "@opentelemetry/api";
import type { Logger } from "pino";

/** Has the log told what OpenTelemetry's SDK says of itself: what could not be sent, variables that it does not take. */
export function logTelemetryTrouble(log: Logger): void {
  const say = (...said: unknown[]) => log.warn(`telemetry: ${said.map(String).join(" ")}`);
  const unheard = () => {};
  diag.setLogger(
    { error: say, warn: say, info: unheard, debug: unheard, verbose: unheard },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}
