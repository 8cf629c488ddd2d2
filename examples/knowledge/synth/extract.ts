import { cutText } from "../cut-text.ts";

export const SUMMARY_SENTENCES = 5;
/** A "sentence" that is longer is a table or a listing without stops. */
export const SENTENCE_CHARS_MAX = 500;

/** Sentences of fewer words are weighed as if they had so many: a heading of two frequent words says little. */
const SENTENCE_WORDS_MIN = 8;

/** English words that say nothing of what a text is about. Other languages do without, which costs some sharpness. */
const STOP_WORDS = new Set(
  (
    "a about after all also an and any are as at be been before but by can could did do does each for from had has " +
    "have he her his how i if in into is it its may more most must no not of on one only or other our over she should " +
    "so some such than that the their them then there these they this to under until up use used was we were what " +
    "when where which while who will with would you your"
  ).split(" "),
);

// A fixed locale: the same text has the same summary on every machine.
const SENTENCES = new Intl.Segmenter("en", { granularity: "sentence" });
const WORDS = new Intl.Segmenter("en", { granularity: "word" });

const FENCE = /^\s*(?:```|~~~)/;
/** Headings, rules, tables, underlines of headings. */
const NO_PROSE = /^\s*(?:#{1,6}(?:\s|$)|\||[-=*_]{3,}\s*$)/;
const LIST_MARK = /^\s*(?:[-*+]|\d{1,9}[.)])\s+/;
const QUOTE_MARK = /^(?:\s*>)+\s?/;
/** The bounds keep a line of a thousand brackets cheap. */
const IMAGE = /!\[[^\][]{0,300}\]\([^()]{0,2000}\)/g;
const LINK = /\[([^\][]{0,300})\]\([^()]{0,2000}\)/g;
const EMPHASIS = /\*\*|__/g;

interface Sentence {
  text: string;
  /** Each word that says something, once. */
  words: Set<string>;
}

/**
 * The sentences of a text, Markdown or plain, that say most of what it is about, in their order: those whose words are
 * frequent in it. Pure, and the same for the same text. A text of few sentences is its own summary; one without prose
 * has none.
 *
 * @returns at most SUMMARY_SENTENCES, each of one line and at most SENTENCE_CHARS_MAX
 */
export function extractSentences(text: string): string[] {
  const sentences = distinct(blocksOf(text).flatMap(sentencesOf));
  const frequency = new Map<string, number>();
  for (const word of sentences.flatMap((sentence) => [...sentence.words])) {
    frequency.set(word, (frequency.get(word) ?? 0) + 1);
  }
  const weigh = ({ words }: Sentence) =>
    [...words].reduce((sum, word) => sum + frequency.get(word)!, 0) / Math.max(words.size, SENTENCE_WORDS_MIN);
  return sentences
    .map((sentence, order) => ({ text: sentence.text, order, weight: weigh(sentence) }))
    .sort((a, b) => b.weight - a.weight || a.order - b.order)
    .slice(0, SUMMARY_SENTENCES)
    .sort((a, b) => a.order - b.order)
    .map((sentence) => shorten(sentence.text));
}

/** The paragraphs and list items of a text, each as one line without its marks. */
function blocksOf(text: string): string[] {
  const blocks: string[][] = [[]];
  let isCode = false;
  for (const line of text.split(/\r?\n/)) {
    const isFence = FENCE.test(line);
    if (isFence) isCode = !isCode;
    const isProse = !isFence && !isCode && line.trim() !== "" && !NO_PROSE.test(line);
    const content = line.replace(QUOTE_MARK, "");
    if (!isProse || LIST_MARK.test(content)) blocks.push([]);
    if (isProse) blocks.at(-1)!.push(content.replace(LIST_MARK, "").trim());
  }
  return blocks.map((lines) => readable(lines.join(" "))).filter((block) => block !== "");
}

function readable(markdown: string): string {
  return markdown.replace(IMAGE, "").replace(LINK, "$1").replace(EMPHASIS, "").replace(/\s+/g, " ").trim();
}

function sentencesOf(block: string): Sentence[] {
  return [...SENTENCES.segment(block)]
    .map(({ segment }) => ({ text: segment.trim(), words: wordsOf(segment) }))
    .filter((sentence) => /\p{L}/u.test(sentence.text));
}

function wordsOf(sentence: string): Set<string> {
  const words = new Set<string>();
  for (const { segment, isWordLike } of WORDS.segment(sentence)) {
    const word = segment.toLowerCase();
    if (isWordLike && !STOP_WORDS.has(word) && /\p{L}/u.test(word)) words.add(word);
  }
  return words;
}

/** Without the repetitions: a footer on every page is one sentence. */
function distinct(sentences: Sentence[]): Sentence[] {
  const first = new Map<string, Sentence>();
  for (const sentence of sentences) if (!first.has(sentence.text)) first.set(sentence.text, sentence);
  return [...first.values()];
}

function shorten(sentence: string): string {
  return sentence.length <= SENTENCE_CHARS_MAX ? sentence : `${cutText(sentence, SENTENCE_CHARS_MAX - 1)}…`;
}
