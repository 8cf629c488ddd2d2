const rows: [string, string][] = [];

/** Adds a line to the table that is printed after the tests. */
export function report(what: string, found: string): void {
  rows.push([what, found]);
}

export function printReport(): void {
  const width = Math.max(...rows.map(([what]) => what.length));
  for (const [what, found] of rows) console.log(`  ${what.padEnd(width)}  ${found}`);
}
