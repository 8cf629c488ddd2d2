import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** A process that is known by what it prints. Disposing kills it, and all that it has started. */
export interface PrintingProcess extends AsyncDisposable {
  /** Every line so far, of both its outputs. */
  readonly lines: readonly string[];
  /** The first line that matches and has not been looked for: waits until it is printed. @throws Error when it ends first */
  next(pattern: RegExp): Promise<RegExpExecArray>;
  signal(name: NodeJS.Signals): void;
  /** Resolves when it has ended, with its exit code; null where a signal ended it. */
  readonly ended: Promise<number | null>;
}

/** Starts a process as the head of a group, in which nothing of Spool's settings counts but what is given here. */
export function startProcess(
  command: string,
  { args, environment }: { args: readonly string[]; environment: Record<string, string> },
): PrintingProcess {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(SPOOL_|DATABASE_URL$)/.test(name));
  const env = { ...Object.fromEntries(inherited), ...environment };
  const child = spawn(command, args, { env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const lines: string[] = [];
  let change = Promise.withResolvers<void>();
  const tell = () => {
    change.resolve();
    change = Promise.withResolvers();
  };
  for (const input of [child.stdout, child.stderr]) {
    createInterface({ input }).on("line", (line) => {
      lines.push(line);
      tell();
    });
  }
  let hasEnded = false;
  const ended = once(child, "close").then(([code]) => {
    hasEnded = true;
    tell();
    return code as number | null;
  });
  const signal = (name: NodeJS.Signals) => {
    if (!hasEnded) process.kill(-child.pid!, name);
  };
  let looked = 0;
  return {
    lines,
    ended,
    signal,
    async next(pattern) {
      for (;;) {
        while (looked < lines.length) {
          const match = pattern.exec(lines[looked++]!);
          if (match !== null) return match;
        }
        if (hasEnded) throw new Error(`${command} ended and never printed ${String(pattern)}:\n${lines.join("\n")}`);
        await change.promise;
      }
    },
    async [Symbol.asyncDispose]() {
      signal("SIGKILL");
      await ended;
    },
  };
}
