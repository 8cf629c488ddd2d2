import { posix } from "node:path";
import type { JsonObject } from "@spooltape/client";
import { oneLine } from "../cut-text.ts";
import { collectChunks } from "./chunk.ts";
import type { Chunk } from "./chunk.ts";
import { splitFrontMatter } from "./front-matter.ts";
import { parseHtml } from "./html.ts";
import { sectionsOf } from "./markdown.ts";

export const TITLE_CHARS_MAX = 300;

export interface ParsedSource {
  /** Of the front matter or the text, or else the file's name. One line. */
  title: string;
  frontMatter: JsonObject;
  chunks: Chunk[];
}

type Parse = (text: string) => Omit<ParsedSource, "title"> & { title: string | null };

const PARSERS: Record<string, Parse> = {
  ".md": parseMarkdown,
  ".markdown": parseMarkdown,
  ".html": parseHtmlSource,
  ".htm": parseHtmlSource,
  ".txt": parsePlainText,
};

/** Whether a file of this name is ingested. */
export function isSource(path: string): boolean {
  return extensionOf(path) in PARSERS;
}

/** Reads a source in the way of its name. @throws FileError front_matter, html, long_runs */
export function parseSource(path: string, text: string): ParsedSource {
  const parsed = (PARSERS[extensionOf(path)] ?? parsePlainText)(text);
  const title = oneLine(parsed.title ?? "", TITLE_CHARS_MAX) || oneLine(posix.parse(path).name, TITLE_CHARS_MAX);
  return { ...parsed, title };
}

function parseMarkdown(text: string): ReturnType<Parse> {
  const { frontMatter, body } = splitFrontMatter(text);
  const chunks = collectChunks();
  let firstHeading: string | null = null;
  for (const section of sectionsOf(body)) {
    firstHeading ??= section.heading || null;
    chunks.add(section);
  }
  return { title: titleOf(frontMatter) ?? firstHeading, frontMatter, chunks: chunks.end() };
}

function parseHtmlSource(text: string): ReturnType<Parse> {
  const chunks = collectChunks();
  const { title } = parseHtml(text, (section) => chunks.add(section));
  return { title, frontMatter: {}, chunks: chunks.end() };
}

function parsePlainText(text: string): ReturnType<Parse> {
  const chunks = collectChunks();
  chunks.add({ heading: "", text });
  return { title: null, frontMatter: {}, chunks: chunks.end() };
}

function titleOf({ title }: JsonObject): string | null {
  return typeof title === "string" || typeof title === "number" ? String(title) : null;
}

function extensionOf(path: string): string {
  return posix.extname(path).toLowerCase();
}
