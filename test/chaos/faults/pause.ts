import type { Guard } from "../target/guard.ts";

/** Stops a process with SIGSTOP while it is held, and lets it continue. The guard ends it if this process dies meanwhile. */
export async function pause(
  { pid, signal }: { pid: number; signal: (name: "SIGSTOP" | "SIGCONT") => void },
  guard: Guard,
  held: () => Promise<void>,
): Promise<void> {
  guard.stopped(pid);
  signal("SIGSTOP");
  try {
    await held();
  } finally {
    signal("SIGCONT");
    guard.continued(pid);
  }
}
