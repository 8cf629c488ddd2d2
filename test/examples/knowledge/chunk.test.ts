import assert from "node:assert/strict";
import fc from "fast-check";
import {
  CHUNK_CHARS_MAX,
  CHUNK_CHARS_MIN,
  collectChunks,
  HEADING_CHARS_MAX,
  splitText,
} from "../../../examples/knowledge/ingest/chunk.ts";
import type { Chunk, Section } from "../../../examples/knowledge/ingest/chunk.ts";
import { RUN_CHARS_MAX, RUN_COST_MAX } from "../../../examples/knowledge/ingest/long-runs.ts";
import { sectionsOf } from "../../../examples/knowledge/ingest/markdown.ts";

/** Text of a document's sort: words, marks of Markdown, line ends of every kind and pairs of surrogates. */
const prose = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "\n",
        "\n\n",
        "\r\n",
        "# Heading\n",
        "Under\n===\n",
        "```\n",
        "~~~ a\n",
        "- ",
        ". ",
        "。",
        "😀",
        " ",
      ),
      fc.string({ unit: "grapheme", maxLength: 40 }),
      fc.string({ unit: "grapheme", minLength: 100, maxLength: 900, size: "max" }),
    ),
    { maxLength: 30, size: "max" },
  )
  .map((parts) => parts.join(""));

describe("the chunks of a text", () => {
  it("are the whole text in pieces within the bound", () => {
    fc.assert(
      fc.property(prose, (text) => {
        const chunks = chunksOf(sectionsOf(text));
        assert.equal(joined(chunks), text);
        assert.ok(chunks.every((chunk) => chunk.text !== "" && chunk.text.length <= CHUNK_CHARS_MAX));
        assert.ok(chunks.every((chunk) => chunk.text.isWellFormed() || !text.isWellFormed()));
        assert.ok(chunks.every((chunk) => chunk.heading.length <= HEADING_CHARS_MAX));
        // Two that follow each other could not have been one of the least length: their number is bounded too.
        assert.ok(chunks.length <= 1 + (2 * text.length) / CHUNK_CHARS_MIN);
      }),
      { numRuns: 200 },
    );
  });

  it("are none for an empty text", () => {
    assert.deepEqual(chunksOf([{ heading: "", text: "" }]), []);
  });

  it("are one at the bound and two past the bound", () => {
    assert.deepEqual([...splitText("x".repeat(CHUNK_CHARS_MAX))].map(lengthOf), [CHUNK_CHARS_MAX]);
    assert.deepEqual([...splitText("x".repeat(CHUNK_CHARS_MAX + 1))].map(lengthOf), [CHUNK_CHARS_MAX, 1]);
  });

  it("do not split a surrogate pair at the bound", () => {
    const text = `${"x".repeat(CHUNK_CHARS_MAX - 1)}😀`;
    assert.deepEqual([...splitText(text)], ["x".repeat(CHUNK_CHARS_MAX - 1), "😀"]);
  });

  it("end at a paragraph rather than a line, a line rather than a sentence, a sentence rather than a word", () => {
    const start = "word ".repeat(100);
    const rest = "w".repeat(CHUNK_CHARS_MAX);
    for (const division of ["\n\n", "\r\n\r\n", "\n", ". ", "。", " "]) {
      const [first] = splitText(`${start}end${division}a b. c\nd`.slice(0, start.length + 3 + division.length) + rest);
      assert.equal(first, `${start}end${division}`, JSON.stringify(division));
    }
    const [first] = splitText(`${start}.\n\n${start}.\n${start}. ${rest}`);
    assert.equal(first, `${start}.\n\n`);
  });

  it("join a short section with the next section, under the first heading", () => {
    const long = "y".repeat(CHUNK_CHARS_MIN);
    assert.deepEqual(
      chunksOf([
        { heading: "", text: "before " },
        { heading: "One", text: "short " },
        { heading: "Two", text: long },
        { heading: "Three", text: "end" },
      ]),
      [
        { heading: "One", text: `before short ${long}` },
        { heading: "Three", text: "end" },
      ],
    );
  });

  it("take linear time", () => {
    const text = "x".repeat(4 * 1024 * 1024);
    assert.equal(joined(chunksOf(sectionsOf(text))).length, text.length);
    const headings = "#\n".repeat(2 * 1024 * 1024);
    assert.ok(chunksOf(sectionsOf(headings)).length < headings.length / CHUNK_CHARS_MIN + 1);
  });
});

describe("a chunk", () => {
  it("holds a limited run of text with punctuation and without white space", () => {
    const word = "a".repeat(RUN_CHARS_MAX - 2);
    assert.deepEqual([...splitText(`${word}.b c`)], [`${word}.b c`]);
    assert.deepEqual([...splitText(`${word}.bc d`)], [`${word}.b`, "c d"]);
    assert.deepEqual([...splitText(`- ${word}.bc d`)], [`- ${word}.b`, "c d"]);
    const path = "~/".repeat(CHUNK_CHARS_MAX);
    assert.ok([...splitText(path)].every((piece) => piece.length <= RUN_CHARS_MAX));
    assert.equal([...splitText(path)].join(""), path);
  });

  it("holds a run of any length without punctuation or of letters beyond ASCII", () => {
    for (const text of ["x".repeat(CHUNK_CHARS_MAX), "漢字。".repeat(CHUNK_CHARS_MAX / 4), "|---".repeat(400)]) {
      assert.deepEqual([...splitText(text)], [text]);
    }
  });
});

describe("a text of long runs with punctuation", () => {
  /** So many of it cost RUN_COST_MAX. */
  const run = `${"~/".repeat(RUN_CHARS_MAX / 2 - 2)}~~~ `;
  const runs = Math.floor(RUN_COST_MAX / (run.length - 1) ** 2);

  it("is accepted at the maximum cost of its runs and refused past it", () => {
    const text = run.repeat(runs);
    assert.equal(joined(chunksOf([{ heading: "", text }])), text);
    assert.throws(() => chunksOf([{ heading: "", text: text + run }]), { kind: "long_runs" });
  });

  it("is accepted if it is like data that people embed in documents", () => {
    const image = Buffer.from(Array.from({ length: 750_000 }, (_, index) => (index * index) >> 3)).toString("base64");
    const text = `![](data:image/png;base64,${image})`;
    assert.equal(joined(chunksOf([{ heading: "", text }])), text);
  });
});

describe("the sections of a Markdown text", () => {
  const headingsOf = (text: string) => [...sectionsOf(text)].map((section) => section.heading);

  it("begin at headings of both forms", () => {
    const text = "intro\n\n# One #\ntext\r\n\r\nTwo\r\n===\r\ntext\n\nThree\n---\ntext\n### Four\n";
    assert.deepEqual(
      [...sectionsOf(text)],
      [
        { heading: "", text: "intro\n\n" },
        { heading: "One", text: "# One #\ntext\r\n\r\n" },
        { heading: "Two", text: "Two\r\n===\r\ntext\n\n" },
        { heading: "Three", text: "Three\n---\ntext\n" },
        { heading: "Four", text: "### Four\n" },
      ],
    );
  });

  it("do not begin in code", () => {
    assert.deepEqual(headingsOf("# A\n```sh\n# no\n~~~\n# no\n```\n# B\n~~~~\n~~~\n# no\n~~~~\n# C"), ["A", "B", "C"]);
    assert.deepEqual(headingsOf("```a``` is code in a line\n# A"), ["", "A"]);
    assert.deepEqual(headingsOf("```\n# no, for the code never ends"), [""]);
  });

  it("do not begin at a rule, a list, a table or a tag", () => {
    assert.deepEqual(headingsOf("text\n\n---\nmore\n- item\n---\n| a |\n---\n#tag\n"), [""]);
  });

  it("have a heading of one line within the bound", () => {
    const [section] = sectionsOf(`# ${"😀".repeat(1_000)}\n`);
    assert.equal(section?.heading, "😀".repeat(HEADING_CHARS_MAX / 2));
  });
});

function chunksOf(sections: Iterable<Section>): Chunk[] {
  const chunks = collectChunks();
  for (const section of sections) chunks.add(section);
  return chunks.end();
}

function joined(chunks: Chunk[]): string {
  return chunks.map((chunk) => chunk.text).join("");
}

function lengthOf(text: string): number {
  return text.length;
}
