import assert from "node:assert/strict";

export interface Sample {
  name: string;
  labels: Readonly<Record<string, string>>;
  value: number;
}

/** What a server answered at /metrics. */
export class PrometheusText {
  /** The metrics that it tells of: of a histogram its own name, not those of its samples. */
  readonly names: ReadonlySet<string>;
  readonly samples: readonly Sample[];

  constructor(text: string) {
    const lines = text.split("\n");
    this.names = new Set(lines.flatMap((line) => /^# TYPE (\S+) /.exec(line)?.[1] ?? []));
    this.samples = lines.filter((line) => line !== "" && !line.startsWith("#")).map(parseSample);
  }

  /** The sum of the samples of a name that have these labels; undefined: there is none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const wanted = Object.entries(labels);
    const found = this.samples.filter(
      (sample) => sample.name === name && wanted.every(([label, value]) => sample.labels[label] === value),
    );
    return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
  }
}

/** @param url of the HTTP endpoint */
export async function scrape(url: string): Promise<PrometheusText> {
  const response = await fetch(`${url}/metrics`);
  assert.equal(response.status, 200);
  return new PrometheusText(await response.text());
}

function parseSample(line: string): Sample {
  const [, name, labels = "", value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
  assert.ok(name !== undefined, line);
  const pairs = labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g);
  return { name, labels: Object.fromEntries([...pairs].map(([, label, text]) => [label, text])), value: Number(value) };
}
