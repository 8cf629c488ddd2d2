/** Sets cells in columns, with a rule below the first row, which holds the heads. */
export function setColumns(rows: readonly (readonly string[])[], toTheRight: ReadonlySet<number>): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (toTheRight.has(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
  const rule = widths.map((width) => "─".repeat(width)).join("──");
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}
