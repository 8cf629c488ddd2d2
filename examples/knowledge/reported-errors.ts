import type { JsonObject } from "@spooltape/client";

/** The errors that a report lists; the tape has them all. Both bounds keep a result far below its 3 MiB. */
export const REPORTED_ERRORS_MAX = 1_000;
export const REPORTED_ERRORS_BYTES_MAX = 1024 * 1024;

interface Reported {
  errors: JsonObject[];
  errors_total: number;
}

/** The errors of single sources for a report: the first ones in full, and how many there were. */
export class ErrorReport {
  readonly #errors: { error: JsonObject; bytesSoFar: number }[] = [];
  #bytes = 0;
  #total = 0;

  add(error: JsonObject): void {
    this.#total += 1;
    this.#bytes += Buffer.byteLength(JSON.stringify(error));
    if (this.#errors.length < REPORTED_ERRORS_MAX && this.#bytes <= REPORTED_ERRORS_BYTES_MAX) {
      this.#errors.push({ error, bytesSoFar: this.#bytes });
    }
  }

  /** Takes over what an earlier attempt had reported. */
  goOn({ errors, errors_total: total }: Reported): void {
    for (const error of errors) this.add(error);
    this.#total += total - errors.length;
  }

  /** @param bytesMax of the errors listed, as JSON */
  report(bytesMax = REPORTED_ERRORS_BYTES_MAX): Reported {
    const listed = this.#errors.filter(({ bytesSoFar }) => bytesSoFar <= bytesMax);
    return { errors: listed.map(({ error }) => error), errors_total: this.#total };
  }
}
