import assert from "node:assert/strict";
import fc from "fast-check";
import { extractSentences, SENTENCE_CHARS_MAX, SUMMARY_SENTENCES } from "../../../examples/knowledge/synth/extract.ts";
import { extractSummary, renderPage } from "../../../examples/knowledge/synth/page.ts";

describe("the sentences of a summary", () => {
  it("are those about the topic of the text, in their order", () => {
    const text = [
      "A tape records what a task does. Nobody knows why the sky was green on Tuesday.",
      "A follower reads the tape of a task from any position. Bananas!",
      "Each event on the tape has a number, and the tape of a task has one final event.",
      "My aunt's neighbour prefers tea. The task ends when the final event is on the tape.",
      "A follower of the tape stops at the final event of the task.",
    ].join("\n");
    assert.deepEqual(extractSentences(text), [
      "A tape records what a task does.",
      "A follower reads the tape of a task from any position.",
      "Each event on the tape has a number, and the tape of a task has one final event.",
      "The task ends when the final event is on the tape.",
      "A follower of the tape stops at the final event of the task.",
    ]);
  });

  it("are all sentences of a tiny text, and none without prose", () => {
    assert.deepEqual(extractSentences("Hello"), ["Hello"]);
    for (const text of ["", " \n\t\r\n", "# Heading only", "```\ncode only\n```", "123. 4.5!", "😀😀", "| a | b |"]) {
      assert.deepEqual(extractSentences(text), [], JSON.stringify(text));
    }
  });

  it("are found in any writing system", () => {
    assert.deepEqual(extractSentences("磁带记录任务。任务有一个结果。天气很好。"), [
      "磁带记录任务。",
      "任务有一个结果。",
      "天气很好。",
    ]);
    assert.deepEqual(extractSentences("Лента хранит события. Задача пишет на ленту!").length, 2);
    assert.deepEqual(extractSentences("يسجل الشريط الأحداث. هل انتهت المهمة؟ نعم.").length, 3);
    assert.deepEqual(extractSentences("작업은 테이프에 기록된다. 끝은 하나다.").length, 2);
  });

  it("are prose: wrapped lines joined, list items separate, without code, headings and markup", () => {
    const text =
      "# Title\n\nA **bold** claim that\nis wrapped, see [the guide](https://example.org/a_b).\n\n```\nno()\n```\n\n" +
      "- First item\n- Second item\n  goes on\n\n> Quoted words\n\n![picture](x.png)\n\n| no | table |\n---\n";
    assert.deepEqual(extractSentences(text), [
      "A bold claim that is wrapped, see the guide.",
      "First item",
      "Second item goes on",
      "Quoted words",
    ]);
  });

  it("contain no repeated sentence", () => {
    assert.deepEqual(extractSentences("Read on.\n\nThe end is near.\n\nRead on.\n"), ["Read on.", "The end is near."]);
  });

  it("are cut at the bound, but not within a character", () => {
    const [sentence] = extractSentences(`a${"😀".repeat(SENTENCE_CHARS_MAX)}`);
    assert.equal(sentence, `a${"😀".repeat(SENTENCE_CHARS_MAX / 2 - 1)}…`);
    assert.equal(extractSentences("a".repeat(SENTENCE_CHARS_MAX))[0]?.length, SENTENCE_CHARS_MAX);
    assert.equal(extractSentences("a".repeat(SENTENCE_CHARS_MAX + 1))[0]?.length, SENTENCE_CHARS_MAX);
  });

  it("are few, from the text, and the same each time, for any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 3_000 }), (text) => {
        const sentences = extractSentences(text);
        assert.ok(sentences.length <= SUMMARY_SENTENCES);
        assert.ok(
          sentences.every((sentence) => sentence !== "" && sentence.isWellFormed() && !sentence.includes("\n")),
        );
        assert.deepEqual(extractSentences(text), sentences);
      }),
    );
  });

  it("take linear time", () => {
    for (const unit of ["[", "![](", "> ", "- ", "*", "word ", "a.\n"])
      extractSentences(unit.repeat(100_000 / unit.length));
  });
});

describe("a page", () => {
  it("has title, summary and the path of its source", () => {
    const summary = extractSummary("One thing. Another thing.");
    assert.equal(
      renderPage({ title: "The title", summary, path: "docs/a.md" }),
      "# The title\n\n- One thing.\n- Another thing.\n\nSource: `docs/a.md`\n",
    );
  });

  it("has no summary if the text has no prose", () => {
    assert.equal(renderPage({ title: "T", summary: "", path: "a.md" }), "# T\n\nSource: `a.md`\n");
  });

  it("shows a path with any characters", () => {
    assert.match(renderPage({ title: "T", summary: "", path: "a`b``c\nd.md" }), /\nSource: ``` a`b``c d\.md ```\n$/);
  });
});
