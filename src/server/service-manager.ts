import { spawn } from "node:child_process";
import type { Logger } from "pino";

/** Notifies systemd of the states of a server. */
export interface ServiceManager {
  /** The listeners are open. */
  ready(): void;
  /** The server has begun to stop. */
  stopping(): void;
}

const UNMANAGED: ServiceManager = { ready() {}, stopping() {} };

/**
 * Returns the notifications for a unit with `Type=notify`. Node has no datagram sockets of the unix family, so they are
 * sent by systemd's own program, and the unit needs `NotifyAccess=all`. Without NOTIFY_SOCKET, nothing is sent.
 *
 * If the unit has a watchdog, its event loop sends WATCHDOG=1 twice per interval from `ready` on, also while it drains.
 */
export function serviceManager(
  log: Logger,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ServiceManager {
  if (!environment["NOTIFY_SOCKET"]) return UNMANAGED;
  const notify = (state: string) => {
    const child = spawn("systemd-notify", [state], { stdio: "ignore", env: { ...environment } });
    child.unref();
    child.on("error", (err) => log.warn({ err, state }, "service manager: systemd-notify failed"));
    child.on("exit", (code) => {
      if (code !== 0) log.warn({ code, state }, "service manager: systemd-notify failed");
    });
  };
  return {
    ready() {
      notify("READY=1");
      const watchdogMs = watchdogMsOf(environment);
      if (watchdogMs !== null) setInterval(() => notify("WATCHDOG=1"), watchdogMs / 2).unref();
    },
    stopping: () => notify("STOPPING=1"),
  };
}

/** Returns the interval of the watchdog in ms; null if there is none for this process. */
function watchdogMsOf(environment: Readonly<Record<string, string | undefined>>): number | null {
  const { WATCHDOG_USEC: interval, WATCHDOG_PID: pid } = environment;
  const isForOther = Boolean(pid) && pid !== String(process.pid);
  return interval && !isForOther ? Number(interval) / 1_000 : null;
}
