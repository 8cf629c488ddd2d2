import assert from "node:assert/strict";
import { JSON_DEPTH_MAX } from "../../../src/domain/limits.ts";
import { FRONT_MATTER_CHARS_MAX, splitFrontMatter } from "../../../examples/knowledge/ingest/front-matter.ts";
import { HTML_DEPTH_MAX } from "../../../examples/knowledge/ingest/html.ts";
import { parseSource, TITLE_CHARS_MAX } from "../../../examples/knowledge/ingest/parse.ts";

describe("a Markdown source", () => {
  it("has the title of its front matter, else its first heading, else its name", () => {
    assert.equal(parseSource("a/b.md", "---\ntitle: Front\n---\n# Head\n").title, "Front");
    assert.equal(parseSource("a/b.md", "---\ntitle: 7\n---\n# Head\n").title, "7");
    assert.equal(parseSource("a/b.md", "---\ntitle: [x]\n---\nText\n\n## Head\n").title, "Head");
    assert.equal(parseSource("a/b.MARKDOWN", "Text\n").title, "b");
    assert.equal(parseSource("a/b.md", "").title, "b");
  });

  it("has a title of one line within the bound", () => {
    assert.equal(parseSource("b.md", '---\ntitle: "a\\n  b\\tc"\n---\n').title, "a b c");
    assert.equal(
      parseSource("b.md", `---\ntitle: ${"x".repeat(TITLE_CHARS_MAX + 1)}\n---\n`).title.length,
      TITLE_CHARS_MAX,
    );
  });

  it("separates front matter from the text and keeps the text unchanged", () => {
    const { frontMatter, body } = splitFrontMatter("---  \r\ntags: [a, b]\r\nat: 2026-01-02\r\n---\r\n\r\n  Text\r\n");
    assert.deepEqual(frontMatter, { tags: ["a", "b"], at: "2026-01-02" });
    assert.equal(body, "\r\n  Text\r\n");
    assert.deepEqual(splitFrontMatter("---\n---"), { frontMatter: {}, body: "" });
    assert.deepEqual(splitFrontMatter("---\na: 1\n...\nText"), { frontMatter: { a: 1 }, body: "Text" });
  });

  it("has no front matter without an opening and a closing line", () => {
    for (const text of ["", "\n---\na: 1\n---\n", "----\na: 1\n---\n", "---\nA rule, and then text.\n"]) {
      assert.deepEqual(splitFrontMatter(text), { frontMatter: {}, body: text });
    }
  });

  it("is refused if its front matter is not a mapping, not YAML, not text or too large", () => {
    const refused = {
      list: "- a\n- b",
      word: "Hello",
      broken: "a: [1, 2",
      twice: "a: 1\na: 2",
      nul: 'a: "\\0"',
      half: 'a: "\\ud800"',
      deep: "a: " + "[".repeat(30_000),
      bomb: bomb(),
      alias: "a: *nowhere",
    };
    for (const [name, yaml] of Object.entries(refused)) {
      assert.throws(() => splitFrontMatter(`---\n${yaml}\n---\n`), { name: "FileError", kind: "front_matter" }, name);
    }
  });

  it("is refused with the position of an error in its front matter, in one line", () => {
    assert.throws(() => splitFrontMatter("---\na: 1\nb: [\n---\n"), {
      message: /^the front matter cannot be read: .+ at line \d+, column \d+$/,
    });
  });

  it("accepts front matter at the maximum depth of JSON and no deeper", () => {
    const nested = (depth: number, open: string, close: string) =>
      `---\na:\n  ${open.repeat(depth)}x${close.repeat(depth)}\n---\n`;
    // The mapping itself is the first level.
    for (const [open, close] of [
      ["[", "]"],
      ["- ", ""],
    ] as const) {
      assert.ok(splitFrontMatter(nested(JSON_DEPTH_MAX - 1, open, close)).frontMatter.a);
      for (const depth of [JSON_DEPTH_MAX, JSON_DEPTH_MAX + 1, 5_000]) {
        assert.throws(() => splitFrontMatter(nested(depth, open, close)), {
          kind: "front_matter",
          message: /deeper than 32/,
        });
      }
    }
    const lines = Array.from({ length: JSON_DEPTH_MAX + 2 }, (_, indent) => `${" ".repeat(indent)}a:`).join("\n");
    assert.throws(() => splitFrontMatter(`---\n${lines}\n---\n`), { message: /deeper than 32/ });
  });

  it("is refused if a key is not a text, because nested keys would take exponential time", () => {
    for (const key of ["? ".repeat(25) + "x", "? [a, b]", "? {a: b}"]) {
      assert.throws(() => splitFrontMatter(`---\n${key}\n---\n`), { kind: "front_matter" }, key);
    }
    assert.throws(() => splitFrontMatter(`---\n${"? ".repeat(2_000)}x\n---\n`), { kind: "front_matter" });
    assert.deepEqual(splitFrontMatter("---\n? a\n: b\n---\n").frontMatter, { a: "b" });
  });

  it("accepts front matter at the bound and no more", () => {
    const yaml = (chars: number) => `---\n${"a: ".padEnd(chars - 1, "x")}\n---\n`;
    assert.ok(splitFrontMatter(yaml(FRONT_MATTER_CHARS_MAX)).frontMatter.a);
    assert.throws(() => splitFrontMatter(yaml(FRONT_MATTER_CHARS_MAX + 1)), { kind: "front_matter" });
  });

  it("keeps a key such as __proto__ in its front matter as a plain key", () => {
    const { frontMatter } = splitFrontMatter("---\n__proto__: {polluted: 1}\nconstructor: 2\n---\n");
    assert.deepEqual(Object.keys(frontMatter), ["__proto__", "constructor"]);
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });
});

describe("an HTML source", () => {
  const textOf = (html: string) =>
    parseSource("a.html", html)
      .chunks.map((chunk) => chunk.text)
      .join("");

  it("becomes its text, with separate blocks and without scripts and styles", () => {
    const html = `<!doctype html><html><head><title>The &amp; title</title><style>p { color: red }</style></head>
      <body><script>if (a < b) alert("<p>no</p>")</script><noscript>no</noscript>
      <h1>One</h1><p>A <b>bold</b>
      claim.</p><p>Next&nbsp;one.<br>New line.</p><ul><li>first<li>second</ul>
      <pre>  kept
        as it is</pre><table><tr><td>a<td>b<tr><td>c</table></body></html>`;
    const { title, chunks } = parseSource("a.htm", html);
    assert.equal(title, "The & title");
    assert.deepEqual(chunks, [
      {
        heading: "One",
        text:
          "One\n\nA bold claim.\n\nNext one.\nNew line.\n\nfirst\nsecond\n\n" +
          "  kept\n        as it is\n\na b\nc\n\n",
      },
    ]);
  });

  it("has the title of its first h1 if it has no title, else its name", () => {
    assert.equal(parseSource("a.html", "<h2>Two</h2><h1>O<i>n</i>e</h1><h1>Other</h1>").title, "One");
    assert.equal(parseSource("a.html", "<svg><title>drawing</title></svg><h1>One</h1>").title, "One");
    assert.equal(parseSource("a.html", "<title> </title><p>text").title, "a");
  });

  it("is divided at its headings, also at a heading that is not closed", () => {
    const long = "word ".repeat(60).trim();
    const { chunks } = parseSource(
      "a.html",
      `<h1>One<p>${long}</p><h2>Two</h2>${long}<template><h1>no</h1></template>`,
    );
    assert.deepEqual(
      chunks.map(({ heading, text }) => [heading.slice(0, 8), text.trim().replace(long, "LONG")]),
      [
        ["Oneword ", "One\n\nLONG"],
        ["Two", "Two\n\nLONG"],
      ],
    );
  });

  it("has no character that Postgres cannot store", () => {
    const text = textOf("a&#0;b&#xD800;c&#x110000;d");
    assert.ok(text.isWellFormed() && !text.includes("\0"), JSON.stringify(text));
  });

  it("is read even if it is malformed", () => {
    assert.equal(textOf("a < b & c &nosuch; </p></i> <b"), "a < b & c &nosuch;\n\n");
    assert.equal(textOf(""), "");
    assert.equal(textOf("<script>never closed"), "");
  });

  it("is read at the nesting limit of browsers and refused past it", () => {
    assert.equal(textOf(`${"<b>".repeat(HTML_DEPTH_MAX)}x`), "x\n\n");
    assert.throws(() => textOf(`${"<b>".repeat(HTML_DEPTH_MAX + 1)}x`), { name: "FileError", kind: "html" });
  });
});

describe("a plain text", () => {
  it("has its name as title and no headings", () => {
    const text = "# not a heading here\n\n---\na: 1\n---\n";
    assert.deepEqual(parseSource("notes/to do.txt", text), {
      title: "to do",
      frontMatter: {},
      chunks: [{ heading: "", text }],
    });
  });
});

/** A few lines whose aliases stand for ten thousand million nodes. */
function bomb(): string {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let level = 1; level < 10; level++) {
    lines.push(
      `a${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(", ")}]`,
    );
  }
  return lines.join("\n");
}
