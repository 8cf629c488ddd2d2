import type { Frame } from "../../client/client.ts";
import { describeEvent } from "./event-lines.ts";
import { writeOut } from "./output.ts";
import { colorizeStdout } from "./colorize.ts";
import { advance, barLines, newProgressView } from "./progress-view.ts";

/** A task may report progress a thousand times a second. A person cannot read faster redraws. */
const REDRAW_MS = 50;

/** Shows a task on the terminal: one progress bar for each phase at the bottom, and the other events above the bars. */
export class Bars {
  readonly #view = newProgressView();
  #linesAbove: string[] = [];
  /** The outcome, for the line below the bars. */
  #finalLine: string | null = null;
  /** How many bars are on the terminal now. */
  #barsDrawn = 0;
  #drawnAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  async show(frame: Frame): Promise<void> {
    advance(this.#view, frame);
    for (const event of frame.events) {
      const line = event.type === "progress" ? null : describeEvent(event, colorizeStdout);
      if (event.type === "final") this.#finalLine = line;
      else if (line !== null) this.#linesAbove.push(line);
    }
    const dueMs = this.#drawnAt + REDRAW_MS - performance.now();
    if (this.#linesAbove.length > 0 || dueMs <= 0) return await this.#draw();
    this.#timer ??= setTimeout(() => void this.#draw().catch(() => {}), dueMs);
  }

  /** Erases the bars, so that other output can be written. The next frame redraws the bars. */
  clear(): void {
    process.stdout.write(this.#erasure());
    this.#barsDrawn = 0;
  }

  /** Draws the final bars, and the outcome below the bars. */
  async close(): Promise<void> {
    await this.#draw();
    this.#barsDrawn = 0;
    if (this.#finalLine !== null) await writeOut(`${this.#finalLine}\n`);
  }

  async #draw(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#drawnAt = performance.now();
    const bars = barLines(this.#view, terminalSize(), colorizeStdout);
    const text = this.#erasure() + [...this.#linesAbove, ...bars].map((line) => `${line}\n`).join("");
    this.#linesAbove = [];
    this.#barsDrawn = bars.length;
    await writeOut(text);
  }

  /**
   * Moves the cursor to the start of the first bar and clears the screen from there. The cursor is on the line below the
   * bars, possibly behind the `^C` that a terminal echoes.
   */
  #erasure(): string {
    return this.#barsDrawn === 0 ? "" : `\r\u001b[${this.#barsDrawn}A\u001b[J`;
  }
}

/** Returns the size of the terminal, with defaults for terminals that report 0. */
function terminalSize(): { columns: number; rows: number } {
  return { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
}
