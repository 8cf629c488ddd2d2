/** Does a piece of work so many times, a fixed number of them at once. @returns how many a second */
export async function rateOf(
  work: () => Promise<unknown>,
  { times, atOnce }: { times: number; atOnce: number },
): Promise<number> {
  let left = times;
  const worker = async () => {
    while (left-- > 0) await work();
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: atOnce }, worker));
  return perSecond(times, startedAt);
}

/** @param startedAt of performance.now */
export function perSecond(count: number, startedAt: number): number {
  return (count * 1_000) / (performance.now() - startedAt);
}
