import { spawn } from "node:child_process";

/** How long a starter that keeps running may take: then it counts as the browser itself, which has started. */
const START_MS = 2_000;

/** Each platform's program that opens a URL in the user's browser. */
const STARTERS: Readonly<Partial<Record<NodeJS.Platform, readonly [program: string, ...words: string[]]>>> = {
  darwin: ["open"],
  // Not `start` of cmd.exe, which would interpret an & in the URL.
  win32: ["rundll32", "url.dll,FileProtocolHandler"],
};
const OTHER_STARTER = ["xdg-open"] as const;

/** Opens a URL in the user's browser. @returns why no browser could be started; null: one has */
export function openBrowser(url: string): Promise<string | null> {
  const [program, ...words] = STARTERS[process.platform] ?? OTHER_STARTER;
  return new Promise((resolve) => {
    const starter = spawn(program, [...words, url], { stdio: "ignore", detached: true });
    starter.unref(); // A browser that the starter becomes outlives this command.
    const started = setTimeout(() => resolve(null), START_MS);
    const end = (problem: string | null) => {
      clearTimeout(started);
      resolve(problem);
    };
    starter.on("error", (error: NodeJS.ErrnoException) =>
      end(error.code === "ENOENT" ? `${program} is not installed` : error.message),
    );
    starter.on("exit", (code, signal) => end(code === 0 ? null : `${program} ended with ${code ?? signal}`));
  });
}
