import { boundOf, describeBar, holds } from "./bar.ts";
import { formatFigure, formatRatio } from "./format.ts";
import { loadPeer } from "./peers/installed.ts";
import { describeRun } from "./report.ts";
import type { Report } from "./report.ts";
import type { Result } from "./results.ts";

/** What is used of the library that draws. */
interface Plot {
  plot(options: object): { outerHTML: string };
  axisX(options: object): object;
  axisY(options: object): object;
  barX(rows: readonly Row[], options: object): object;
  gridX(options: object): object;
  ruleX(positions: readonly number[], options: object): object;
  text(rows: readonly Row[], options: object): object;
  tickX(rows: readonly Row[], options: object): object;
}

/** A figure against another, or against its own bar. */
interface Row {
  label: string;
  ratio: number;
  /** What it is meant to be; undefined: nothing. */
  bound?: number;
  held?: boolean;
  text: string;
}

const WIDTH = 1_040;
const LEFT = 350;
const ROW_HEIGHT = 24;
const COLORS = { held: "#2a7f62", missed: "#c2410c", plain: "#64748b", bound: "#111827" };

const TITLE = "Spool beside its ceilings and peers: ratios of one run";
const LEGEND =
  "Thick mark: what a ratio is meant to reach, or stay below. Green: it does; red: it does not; grey: not asked.";

/**
 * Draws each ratio of a run as a bar from 1, where a figure equals what it is held against, on a scale on which twice
 * and half are equally far; and where its bar is.
 *
 * @returns an SVG document
 */
export function drawChart(report: Report): string {
  const Plot = loadPeer<Plot>("@observablehq/plot");
  const { parseHTML } = loadPeer<{ parseHTML(html: string): { document: object } }>("linkedom");
  const rows = report.results.flatMap(rowsOf);
  if (rows.length === 0) throw new Error("there is no ratio to draw: nothing was compared");
  const caption = [LEGEND, ...describeRun(report), describeTaking(report)];
  const height = 90 + rows.length * ROW_HEIGHT + caption.length * 18;
  const values = rows.flatMap(({ ratio, bound = ratio }) => [ratio, bound]);
  const place = { y: "label", fontSize: 12 };
  const svg = Plot.plot({
    document: parseHTML("<html></html>").document,
    width: WIDTH,
    height,
    marginLeft: LEFT,
    marginRight: 190,
    marginTop: 60,
    marginBottom: 30 + caption.length * 18,
    style: { background: "white", fontFamily: "system-ui, sans-serif" },
    x: { type: "log", domain: [Math.min(0.5, ...values) * 0.8, Math.max(2, ...values) * 1.25], label: null },
    y: { domain: rows.map(({ label }) => label), label: null, tickSize: 0, padding: 0.25 },
    marks: [
      Plot.gridX({ stroke: "#cbd5e1", ticks: 6 }),
      Plot.axisY({ tickSize: 0, fontSize: 12, label: null }),
      Plot.axisX({ anchor: "top", ticks: 6, tickFormat: formatRatio, fontSize: 12 }),
      Plot.barX(rows, { y: "label", x1: 1, x2: "ratio", fill: colorOf }),
      Plot.ruleX([1], { stroke: COLORS.bound }),
      Plot.tickX(
        rows.filter(({ bound }) => bound !== undefined),
        { y: "label", x: "bound", stroke: COLORS.bound, strokeWidth: 3 },
      ),
      Plot.text(rows, { ...place, text: "text", frameAnchor: "right", textAnchor: "start", dx: 10, fill: colorOf }),
    ],
  });
  return withCaption(svg.outerHTML, { title: TITLE, caption, height });
}

function rowsOf({ name, unit, median, bar, comparisons }: Result): Row[] {
  const own = bar && {
    label: `${name} / its bar`,
    ratio: median / boundOf(bar),
    bound: 1,
    held: holds(bar, median),
    text: `${formatFigure(median)} ${unit}, ${describeBar(bar)}`,
  };
  const others = comparisons.filter(({ sameRun }) => sameRun);
  return [
    ...(own ? [own] : []),
    ...others.map(({ with: other, ratio, bar }) => ({
      label: `${name} / ${other}`,
      ratio,
      ...(bar && { bound: boundOf(bar), held: holds(bar, ratio) }),
      text: bar ? `${formatRatio(ratio)}, ${describeBar(bar)}` : formatRatio(ratio),
    })),
  ];
}

function colorOf({ held }: Row): string {
  if (held === undefined) return COLORS.plain;
  return held ? COLORS.held : COLORS.missed;
}

function describeTaking({ takenAt, rounds, small, loadBefore, loadAfter }: Report): string {
  const taken = `${takenAt.slice(0, 16).replace("T", " ")} UTC, medians of ${rounds} rounds or fewer`;
  return `${taken}, load ${loadBefore} before and ${loadAfter} after${small ? "; small sizes: it means nothing" : ""}`;
}

/** The library would put both around the drawing as HTML. Here they are in it, and it is a file by itself. */
function withCaption(
  svg: string,
  { title, caption, height }: { title: string; caption: readonly string[]; height: number },
): string {
  const line = (text: string, y: number, style: string) =>
    `<text x="16" y="${y}" text-anchor="start" ${style}>${escapeText(text)}</text>`;
  const lines = caption.map((text, index) =>
    line(text, height - 10 - (caption.length - 1 - index) * 18, `font-size="12" fill="#475569"`),
  );
  const texts = [line(title, 24, `font-size="16" font-weight="600"`), ...lines].join("");
  const whole = svg.replace(/<\/svg>\s*$/, `${texts}</svg>`);
  return `<?xml version="1.0" encoding="UTF-8"?>\n${whole.includes("xmlns=") ? whole : whole.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"')}\n`;
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
