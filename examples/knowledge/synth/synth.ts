import { createHash } from "node:crypto";
import type { Meter } from "@opentelemetry/api";
import { defineKind, TaskError } from "@spooltape/client";
import type { JsonObject, Kind, KindQueries, TaskContext } from "@spooltape/client";
import * as v from "valibot";
import { listPageSources, readPageSource, writePage } from "../pages.ts";
import type { PageSource } from "../pages.ts";
import { ErrorReport } from "../reported-errors.ts";
import { forEachSource } from "../source-loop.ts";
import { ALL_SOURCES, sourcePath } from "../source-path.ts";
import type { ModelCalls } from "./model-call.ts";
import { SourceFailed } from "./model-failure.ts";
import { connectModel, modelCalls } from "./model.ts";
import type { AskModel, ModelSettings } from "./model.ts";
import { extractSummary, renderPage } from "./page.ts";

/** The documents of one synth; more are done in parts, by path. */
export const SOURCES_MAX = 100_000;
/** As much of a document is read, in code points: its start says what it is, and a model takes no more. */
export const SOURCE_CODE_POINTS_MAX = 100_000;

/** Who wrote a page that no model did. */
const EXTRACTIVE = "extractive";

export interface SynthSettings {
  db: KindQueries;
  namespace: string;
  /** null: pages are extractive summaries. */
  model: ModelSettings | null;
  /** Where calls to the model are counted; left out: nowhere. */
  meter?: Meter;
}

const params = v.strictObject({
  path: v.optional(sourcePath, ALL_SOURCES),
  force_all: v.optional(v.boolean(), false),
  require_model: v.optional(v.boolean(), false),
});

/**
 * Writes a page of each ingested document, by a model or, where none is configured, of the document's own sentences.
 *
 * A document whose page was made of the same content is skipped, unless `force_all`. One that gets no page is a
 * `source_error` partial and in the report's `errors`, and the work goes on; the next run takes it up again. A page is
 * there only when it is whole; while a model writes it, the series of `page_delta` partials with its path shows it. A
 * server that stops hands it on:
 * no page that was written is written again.
 *
 * Fails with MODEL_NOT_CONFIGURED (where `require_model` asks for one), MODEL_REFUSED or TOO_MANY_SOURCES.
 */
export function synthKind(settings: SynthSettings): Kind {
  const calls = settings.model && modelCalls(settings.model, settings.meter);
  return defineKind({
    name: "synth",
    params,
    exclusive: ({ path }) => `synth:${path}`,
    resumable: true,
    run: (task) => synth({ ...settings, calls }, task),
  });
}

async function synth(
  { db, namespace, model, calls }: SynthSettings & { calls: ModelCalls | null },
  task: TaskContext<v.InferOutput<typeof params>>,
): Promise<JsonObject> {
  const { path, force_all: forceAll, require_model: requireModel } = task.params;
  if (model === null) {
    if (requireModel)
      throw new TaskError("MODEL_NOT_CONFIGURED", "no model is configured here, and the task requires one", {
        retryable: false,
      });
    await task.log("WARN", "no model is configured: pages are made of the documents' own sentences");
  }
  const ask = model === null || calls === null ? null : await connectModel(model, calls);
  const sources = await listSources(db, { namespace, path });
  const counts = { written: 0, skipped: 0, failed: 0 };
  const errors = new ErrorReport();

  /** The failure of one source goes on the tape and into the report; every other error ends the task. */
  async function synthesise(source: PageSource): Promise<keyof typeof counts> {
    if (source.done && !forceAll) return "skipped";
    try {
      return await writePageOf(source.path);
    } catch (error) {
      if (!(error instanceof SourceFailed)) throw error;
      const entry = { path: source.path, message: error.message };
      errors.add(entry);
      await task.log("ERROR", `${source.path}: ${error.message}`);
      await task.partial("source_error", entry);
      return "failed";
    }
  }

  async function writePageOf(sourcePath: string): Promise<keyof typeof counts> {
    const source = await readPageSource(db, {
      namespace,
      path: sourcePath,
      codePointsMax: SOURCE_CODE_POINTS_MAX,
    });
    if (source === undefined) return "skipped"; // Removed since it was listed.
    const { title, text, sha256 } = source;
    const isAsked = ask !== null && text.trim() !== "";
    const summary = isAsked ? await streamSummary(ask, { path: sourcePath, title, text }, task) : extractSummary(text);
    const isWritten = await writePage(db, {
      namespace,
      path: sourcePath,
      text: renderPage({ title, summary, path: sourcePath }),
      model: isAsked && model !== null ? model.model : EXTRACTIVE,
      sourceSha256: sha256,
    });
    return isWritten ? "written" : "skipped";
  }

  await forEachSource(task, { phase: "synth", sources, comparePaths, counts, errors }, synthesise);
  return { ...counts, ...errors.report() };
}

async function listSources(
  db: KindQueries,
  { namespace, path }: { namespace: string; path: string },
): Promise<PageSource[]> {
  const sources = await listPageSources(db, { namespace, path, limit: SOURCES_MAX + 1 });
  if (sources.length <= SOURCES_MAX) return sources;
  throw new TaskError(
    "TOO_MANY_SOURCES",
    `there are more than ${SOURCES_MAX} documents below ${path}; do them in parts`,
    { retryable: false },
  );
}

/** The order in which the database lists them: by code points, as UTF-8 is. */
function comparePaths(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** The model's answer, which the tape shows as it comes. */
async function streamSummary(
  ask: AskModel,
  { path, title, text }: { path: string; title: string; text: string },
  task: TaskContext<unknown>,
): Promise<string> {
  let summary = "";
  const series = { name: seriesName(path, task.attempt), mode: "append" } as const;
  for await (const delta of ask({ title, text }, task.signal)) {
    summary += delta;
    await task.partial("page_delta", { path, text: delta }, { series });
  }
  return summary;
}

const SERIES_NAME_CHARS_MAX = 128;

/** Returns the name of the text of a page. A later attempt begins the page again, so its text is another series. */
function seriesName(path: string, attempt: number): string {
  const name = attempt === 1 ? path : `${path} (attempt ${attempt})`;
  return name.length <= SERIES_NAME_CHARS_MAX ? name : createHash("sha256").update(name).digest("hex");
}
