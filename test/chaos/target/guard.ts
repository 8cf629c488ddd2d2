import { spawn } from "node:child_process";

/**
 * Reads lines until the end of its input, then cleans up what is left: stopped processes, volumes, and a folder. It
 * survives this process, however this process ends.
 */
const SCRIPT = `
pids=" "; volumes=""
while read -r verb value; do
  case "$verb" in
    stopped) pids="$pids$value ";;
    continued) pids=$(printf '%s' "$pids" | sed "s/ $value / /");;
    volume) volumes="$volumes $value";;
    keep) keep=1;;
  esac
done
for pid in $pids; do kill -9 "$pid"; done
for volume in $volumes; do umount -l "$volume" && rmdir "$volume"; done
[ "$keep" ] || rm -rf "$0"`;

/** Cleans up after this process, also after a kill of it. Disposing cleans up at once. */
export class Guard implements AsyncDisposable {
  readonly #shell;
  readonly #ended: Promise<unknown>;

  /** @param folder is removed at the end */
  constructor(folder: string) {
    const ended = Promise.withResolvers<void>();
    this.#ended = ended.promise;
    // Detached: a Ctrl-C in the terminal is not meant for it.
    this.#shell = spawn("sh", ["-c", SCRIPT, folder], {
      cwd: "/",
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.#shell.on("exit", () => ended.resolve());
    this.#shell.unref();
  }

  /** Notes that a process is stopped, so that it could not end by itself. */
  stopped(pid: number): void {
    this.#shell.stdin.write(`stopped ${pid}\n`);
  }

  continued(pid: number): void {
    this.#shell.stdin.write(`continued ${pid}\n`);
  }

  volume(folder: string): void {
    this.#shell.stdin.write(`volume ${folder}\n`);
  }

  /** Leaves the folder in place. */
  keepFolder(): void {
    this.#shell.stdin.write("keep -\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#shell.ref();
    this.#shell.stdin.end();
    await this.#ended;
  }
}
