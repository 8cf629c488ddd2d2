import { useLayoutEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { formatMinute } from "../format.ts";
import { colorScheme } from "../theme.ts";

const HEIGHT_PX = 190;

/** A line of a plot. */
export interface Line {
  readonly name: string;
  /** The CSS custom property with its color. */
  readonly color: `--${string}`;
  readonly values: readonly number[];
}

/** A line plot over time. For screen readers, the table beside it has the numbers. */
export function Plot({ title, times, lines }: { title: string; times: readonly number[]; lines: readonly Line[] }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data = [times, ...lines.map(({ values }) => values)] as uPlot.AlignedData;
  const scheme = colorScheme.value;
  useLayoutEffect(() => {
    const made = new uPlot(optionsOf(place.current!, lines), data, place.current!);
    made.root.querySelector(".u-legend")!.setAttribute("aria-label", title);
    plot.current = made;
    const observer = new ResizeObserver(([entry]) => {
      made.setSize({ width: Math.floor(entry!.contentRect.width), height: HEIGHT_PX });
    });
    observer.observe(place.current!);
    return () => {
      observer.disconnect();
      made.destroy();
    };
    // The colors are drawn on a canvas, so a new color scheme needs a new plot.
  }, [scheme]);
  useLayoutEffect(() => plot.current!.setData(data), [times]);
  return (
    <figure class="card plot">
      <figcaption>{title}</figcaption>
      <div ref={place} class="plot-place" />
    </figure>
  );
}

function optionsOf(place: HTMLElement, lines: readonly Line[]): uPlot.Options {
  const style = getComputedStyle(place);
  const color = (property: string) => style.getPropertyValue(property);
  const axis: uPlot.Axis = {
    stroke: color("--ink-quiet"),
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
    font: `12px ${style.fontFamily}`,
  };
  return {
    width: Math.floor(place.clientWidth),
    height: HEIGHT_PX,
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: { y: { range: (_, __, max) => [0, Math.max(max * 1.1, 1)] } },
    axes: [
      { ...axis, size: 30, values: (_, seconds) => seconds.map(timeOf) },
      { ...axis, size: 44 },
    ],
    series: [
      { label: "time", value: (_, seconds) => (seconds === null ? "–" : timeOf(seconds)) },
      ...lines.map((line): uPlot.Series => {
        return {
          label: line.name,
          stroke: color(line.color),
          width: 1.5,
          points: { show: false },
          value: (_, value) => (value === null ? "–" : String(Math.round(value * 100) / 100)),
        };
      }),
    ],
  };
}

function timeOf(seconds: number): string {
  return formatMinute(new Date(seconds * 1_000));
}
