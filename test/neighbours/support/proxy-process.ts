import { once } from "node:events";
import { connect } from "node:net";
import { eventually } from "../../support/eventually.ts";
import { startProcess } from "../../support/printing-process.ts";

/** A proxy that listens. Disposing ends it. */
export interface ProxyProcess extends AsyncDisposable {
  /** What it has printed, a line each. */
  readonly lines: readonly string[];
}

/**
 * Starts a proxy in the foreground and waits until each of its ports takes connections.
 *
 * @throws Error with what it printed where it ends first
 */
export async function startProxyProcess(
  command: string,
  { args, ports }: { args: readonly string[]; ports: readonly number[] },
): Promise<ProxyProcess> {
  const running = startProcess(command, { args, environment: {} });
  const ended = running.ended.then((code) => {
    throw new Error(`${command} ended with ${code}:\n${running.lines.join("\n")}`);
  });
  ended.catch(() => {}); // Also by the test's own dispose.
  try {
    await Promise.race([ended, Promise.all(ports.map((port) => eventually(() => takesConnections(port))))]);
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
  return running;
}

async function takesConnections(port: number): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
  } finally {
    socket.destroy();
  }
}
