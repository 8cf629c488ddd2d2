import type { Passage } from "./findings.ts";

/** A comment, a quoted text or a template of TypeScript. A regular expression with a quote in it can hide the rest of its line. */
const TOKEN = /\/\*[^]*?\*\/|\/\/.*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[^])*`/g;

/** Returns the comments and the messages of TypeScript code. A message is a text with a space in it. */
export function passagesOfCode(source: string): Passage[] {
  const passages: Passage[] = [];
  for (const { 0: token, index } of source.matchAll(TOKEN)) {
    const isComment = token.startsWith("/");
    const text = isComment ? token.replaceAll(/`[^`]*`/g, "x") : token.slice(1, -1).replaceAll(/\$\{[^}]*\}/g, "x");
    if (isComment || text.includes(" ")) passages.push({ line: lineAt(source, index), text });
  }
  return passages;
}

/** Returns the comments of a proto file. Lines of one comment are one passage. */
export function passagesOfProto(source: string): Passage[] {
  const comment = /^[ \t]*\/\/.*(?:\n[ \t]*\/\/.*)*/gm;
  return [...source.matchAll(comment)].map(({ 0: text, index }) => ({
    line: lineAt(source, index),
    text: text.replaceAll(/^[ \t]*\/\/ ?/gm, ""),
  }));
}

/** Returns the paragraphs and list items of a Markdown page, without code, tables and the addresses of links. */
export function passagesOfMarkdown(source: string): Passage[] {
  const prose = source
    .replaceAll(/^[ \t]*(`{3,})[^]*?^[ \t]*\1/gm, blank)
    .replaceAll(/<!--[^]*?-->/g, blank)
    .replaceAll(/^[ \t]*[|#<].*$/gm, "")
    .replaceAll(/\]\([^)]*\)/g, "]")
    .replaceAll(/`[^`]*`/g, (code) => `x${blank(code)}`);
  const passage = /^[^\n\S]*\S.*(?:\n(?![ \t]*(?:[-*+]|\d+\.)[ \t])[ \t]*\S.*)*/gm;
  return [...prose.matchAll(passage)].map(({ 0: text, index }) => ({ line: lineAt(prose, index), text }));
}

/** Keeps the line breaks of a text, so that the lines after it keep their numbers. */
function blank(text: string): string {
  return text.replaceAll(/[^\n]+/g, "");
}

function lineAt(source: string, index: number): number {
  return source.slice(0, index).split("\n").length;
}
