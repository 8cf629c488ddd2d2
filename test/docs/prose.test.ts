import assert from "node:assert/strict";
import {
  findBannedTurns,
  findLongSentences,
  findLongSubjects,
  SENTENCE_WORDS_MAX,
  SUBJECT_CHARS_MAX,
} from "../../scripts/prose/findings.ts";
import { passagesOfCode, passagesOfMarkdown, passagesOfProto } from "../../scripts/prose/passages.ts";

const words = (count: number): string => `${"word ".repeat(count - 1)}word.`;

describe("the prose check", () => {
  it("finds a banned phrase in comments and messages of code, and none in names and paths", () => {
    const source = [
      `import { door } from "./door.ts";`,
      `// The door is closed.`,
      `/**`,
      ` * Tells whoever waits.`,
      ` */`,
      "const text = `${door} is looked at`;",
      `throw new Error("nobody has the kind");`,
      `const key = "door";`,
    ].join("\n");
    const findings = findBannedTurns("a.ts", passagesOfCode(source));
    assert.deepEqual(
      findings.map(({ line, problem }) => `${line} ${problem.split(":")[0]}`),
      [`2 "door"`, `4 "whoever"`, `6 "looked at"`, `7 "nobody"`],
    );
  });

  it("finds each banned phrase", () => {
    const turns = ["onlookers", "of late", "wherever it comes", "as it is set", "stood still", "be told", "looks over"];
    const passages = turns.map((text, index) => ({ line: index + 1, text }));
    assert.deepEqual(
      findBannedTurns("a.md", passages).map(({ line }) => line),
      passages.map(({ line }) => line),
    );
  });

  it("finds a sentence of a page that is one word too long, and accepts one at the limit", () => {
    const page = `# Title\n\n${words(SENTENCE_WORDS_MAX)} ${words(SENTENCE_WORDS_MAX)}\n\n- ${words(SENTENCE_WORDS_MAX + 1)}\n`;
    const findings = findLongSentences("a.md", passagesOfMarkdown(page));
    assert.deepEqual(
      findings.map(({ line }) => line),
      [5],
    );
  });

  it("ignores code and tables of a page", () => {
    const page = `\`\`\`sh\nthe door\n\`\`\`\n\n| the door |\n\nA \`door\`, and [a link](door.md).\n\nThe door.\n`;
    assert.deepEqual(
      findBannedTurns("a.md", passagesOfMarkdown(page)).map(({ line }) => line),
      [9],
    );
  });

  it("finds a long sentence of a proto comment over several lines", () => {
    const half = "word ".repeat(SENTENCE_WORDS_MAX);
    const proto = `message A {\n  // ${half}\n  // ${half}.\n  string door = 1;\n}\n`;
    const passages = passagesOfProto(proto);
    assert.deepEqual(
      [...findLongSentences("a.proto", passages), ...findBannedTurns("a.proto", passages)].map(({ line }) => line),
      [2],
    );
  });

  it("finds a commit subject that is one character too long, and accepts one at the limit", () => {
    const long = "x".repeat(SUBJECT_CHARS_MAX + 1);
    assert.deepEqual(
      findLongSubjects(["x".repeat(SUBJECT_CHARS_MAX), long]).map(({ problem }) => problem.includes(long)),
      [true],
    );
  });
});
