/**
 * Milliseconds on the clock that all processes of this machine share: two of them may be subtracted, whoever read them.
 * The wall clock is shared too, but it may be set in between.
 */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
