import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  datasource?: object;
  gridPos: { x: number; y: number; w: number; h: number };
  fieldConfig?: { defaults: { unit: string } };
  targets?: { refId: string; datasource: object; expr: string; legendFormat: string }[];
}

export interface Dashboard {
  schemaVersion: number;
  templating: { list: { name: string; type: string; query: string | { query: string } }[] };
  panels: Panel[];
}

/** docs/grafana-dashboard.json. */
export function readDashboard(): Dashboard {
  const file = join(import.meta.dirname, "../../docs/grafana-dashboard.json");
  return JSON.parse(readFileSync(file, "utf8")) as Dashboard;
}

/** An expression as Grafana asks it, where this was chosen of its variables. What was not stays as it is. */
export function whereChosen(expr: string, chosen: Readonly<Record<string, string>>): string {
  return expr.replaceAll(/\$(\w+)/g, (variable, name: string) => chosen[name] ?? variable);
}
