import { extractSentences } from "./extract.ts";

/** A page in Markdown: title, summary, and the path of what it is made of. */
export function renderPage({ title, summary, path }: { title: string; summary: string; path: string }): string {
  const body = summary.trim() === "" ? [] : [summary.trim()];
  return [`# ${title}`, ...body, `Source: ${codeSpan(path)}`].join("\n\n") + "\n";
}

/** A summary without a model: the text's own sentences, as a list. */
export function extractSummary(text: string): string {
  return extractSentences(text)
    .map((sentence) => `- ${sentence}`)
    .join("\n");
}

/** Code of a fence longer than any in it. A path may hold anything; a line end would end the paragraph. */
function codeSpan(path: string): string {
  const longest = Math.max(0, ...[...path.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  const padding = longest > 0 ? " " : "";
  return fence + padding + path.replace(/\p{Cc}/gu, " ") + padding + fence;
}
