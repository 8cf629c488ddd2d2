import type { Frame } from "../../client/client.ts";
import { describeEvent } from "./event-lines.ts";
import { writeOut } from "./output.ts";
import { paintStdout } from "./color.ts";
import { advance, barLines, newProgressView } from "./progress-view.ts";

/** A task may report a thousand times a second. Nobody reads faster than this. */
const REDRAW_MS = 50;

/** Draws a task on the terminal: one bar a phase at the bottom, in place, and what else happens above them. */
export class Bars {
  readonly #view = newProgressView();
  #above: string[] = [];
  /** What stands below the bars when the task has ended. */
  #end: string | null = null;
  /** How many lines of bars stand on the terminal now. */
  #drawn = 0;
  #drawnAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  async show(frame: Frame): Promise<void> {
    advance(this.#view, frame);
    for (const event of frame.events) {
      const line = event.type === "progress" ? null : describeEvent(event, paintStdout);
      if (event.type === "final") this.#end = line;
      else if (line !== null) this.#above.push(line);
    }
    const dueMs = this.#drawnAt + REDRAW_MS - performance.now();
    if (this.#above.length > 0 || dueMs <= 0) return await this.#draw();
    this.#timer ??= setTimeout(() => void this.#draw().catch(() => {}), dueMs);
  }

  /** Takes the bars away, so that something else can be written; the next frame brings them back. */
  clear(): void {
    process.stdout.write(this.#erasure());
    this.#drawn = 0;
  }

  /** Leaves the bars as they are at the end, with the outcome and then the cursor below them. */
  async close(): Promise<void> {
    await this.#draw();
    this.#drawn = 0;
    if (this.#end !== null) await writeOut(`${this.#end}\n`);
  }

  async #draw(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#drawnAt = performance.now();
    const bars = barLines(this.#view, terminalSize(), paintStdout);
    const text = this.#erasure() + [...this.#above, ...bars].map((line) => `${line}\n`).join("");
    this.#above = [];
    this.#drawn = bars.length;
    await writeOut(text);
  }

  /**
   * The cursor stands on the line below the bars, behind the ^C that a terminal shows of a Ctrl-C: to the start of the
   * first of them, and clear from there.
   */
  #erasure(): string {
    return this.#drawn === 0 ? "" : `\r\u001b[${this.#drawn}A\u001b[J`;
  }
}

/** Some terminals do not know how large they are, and say 0. */
function terminalSize(): { columns: number; rows: number } {
  return { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
}
