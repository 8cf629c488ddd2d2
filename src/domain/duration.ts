const UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Parses `500ms`, `30s`, `5m`, `2h`, `1d` or `0` to milliseconds. Null: the text is no duration. */
export function parseDurationMs(text: string): number | null {
  if (text === "0") return 0;
  const [, digits, unit] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text) ?? [];
  return digits === undefined ? null : Math.round(Number(digits) * UNITS_MS[unit as keyof typeof UNITS_MS]);
}
