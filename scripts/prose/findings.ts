/** A text that breaks the rules of the prose, and where. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly problem: string;
}

/** A piece of prose in a file: a comment, a message or a paragraph. */
export interface Passage {
  readonly line: number;
  readonly text: string;
}

export const SENTENCE_WORDS_MAX = 35;
export const SUBJECT_CHARS_MAX = 72;

/** Turns of phrase that are banned, with what to write instead. */
const BANNED: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\bdoors?\b/i, "endpoint or listener"],
  [/\blook(?:s|ed|ing)? (?:at|over)\b/i, "check, scan, read or validate"],
  [/\bonlookers?\b/i, "subscriber"],
  [/\bof late\b/i, "recently"],
  [/\bwho(?:m)?ever\b/i, "the actor: server, worker, client or caller"],
  [/\b(?:nobody|somebody|anybody)\b/i, "the actor: server, worker, client or caller"],
  [/\bwherever it comes\b/i, "the place"],
  [/\bas it is set\b/i, "the setting"],
  [/\bst(?:ood|ands?|anding) still\b/i, "stalled"],
  [/\bbe told\b/i, "be notified"],
  [/\bwhat becomes of\b/i, "what happens to"],
  [/\bhas run out\b/i, "has expired"],
];

/** Returns a finding for each banned turn in the passages. */
export function findBannedTurns(file: string, passages: Iterable<Passage>): Finding[] {
  const findings: Finding[] = [];
  for (const { line, text } of passages) {
    for (const [pattern, instead] of BANNED) {
      const found = pattern.exec(text);
      if (!found) continue;
      const before = text.slice(0, found.index).split("\n").length - 1;
      findings.push({ file, line: line + before, problem: `"${found[0]}": write ${instead}` });
    }
  }
  return findings;
}

/** Returns a finding for each sentence with more than {@link SENTENCE_WORDS_MAX} words. */
export function findLongSentences(file: string, passages: Iterable<Passage>): Finding[] {
  const findings: Finding[] = [];
  for (const { line, text } of passages) {
    for (const sentence of text.split(/(?<=[.!?:][)"*]*)\s+/)) {
      const words = sentence.split(/\s+/).filter((word) => /\w/.test(word));
      if (words.length <= SENTENCE_WORDS_MAX) continue;
      findings.push({ file, line, problem: `a sentence of ${words.length} words: "${words.slice(0, 6).join(" ")} …"` });
    }
  }
  return findings;
}

/** Returns a finding for each commit subject with more than {@link SUBJECT_CHARS_MAX} characters. */
export function findLongSubjects(subjects: readonly string[]): Finding[] {
  return subjects
    .filter((subject) => subject.length > SUBJECT_CHARS_MAX)
    .map((subject) => ({
      file: "git log",
      line: 0,
      problem: `a subject of ${subject.length} characters: "${subject}"`,
    }));
}
