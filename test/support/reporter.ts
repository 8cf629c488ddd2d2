import Mocha from "mocha";

const EXIT_WITHIN_MS = 10_000;

/**
 * Mocha's spec reporter, with the count alone on the very last line, for people and programs that read only that.
 *
 * A run ends when nothing is left open, and it is not forced to: what a test leaves running would in a service be a
 * leak. A process that stays open is a failure, and says what holds it; so is an error after the last test.
 */
export default class Reporter extends Mocha.reporters.Spec {
  /** Mocha calls it after the global teardown. */
  override done(failures: number, fn: (failures: number) => void): void {
    fn(failures);

    // Mocha's listener would throw the error again, and such an end has no exit event. Node's own way has one.
    process.removeAllListeners("uncaughtException");

    setTimeout(() => {
      const held = process.getActiveResourcesInfo().join(", ");
      console.error(`The tests are over, but after ${EXIT_WITHIN_MS} ms the process is still open: ${held}`);
      process.exit(1);
    }, EXIT_WITHIN_MS).unref();

    // After the listener of Mocha, which would make it the exit code that was right when the last test ended.
    process.on("exit", (code) => {
      const failed = failures === 0 && code !== 0 ? 1 : failures;
      const skipped = this.stats.pending > 0 ? `, ${this.stats.pending} skipped` : "";
      console.log(`${this.stats.passes} passed, ${failed} failed${skipped}`);
      process.exitCode = failed === 0 ? 0 : 1;
    });
  }
}
