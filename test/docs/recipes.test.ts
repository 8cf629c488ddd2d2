import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const CONTRIBUTING = read("CONTRIBUTING.md");
/** Where a recipe lists every file that names its example. Elsewhere, it lists some of them. */
const SOURCES = globSync(["src/**/*.{ts,tsx}", "proto/spool/**/*.proto", "clients/python/src/**/*.py"], {
  cwd: ROOT,
  exclude: ["src/gen/**"],
});
/** The maximum number of files that a field of StartTask may need, besides the files that act on it. */
const FIELD_FILES_MAX = 11;

/** The recipes of CONTRIBUTING.md, and how files name the example of each. */
const RECIPES: Readonly<Record<string, RegExp>> = {
  "Adding a field to StartTask": /\bdeadline_at\b|\bdeadlineAt\b/,
  "Adding a call":
    /\b[gG]etActivity\b|\bActivity(?:Query|Request)?\b|\bKindActivity\b|\bactivity\(|\bACTIVITY_|"0006-activity"|^\| `activity`/m,
  "Adding an event type": new RegExp(
    [
      /\bcancel_requested\b|"cancelRequested"|\bCancelRequestedEvent\b/,
      /"partial"|\bpartialBody\b|\bpartial\((?:kind|self)\b|\bPartial partial\b/,
    ]
      .map(({ source }) => source)
      .join("|"),
  ),
  "Adding a setting": /\bcrashesMax\b|\bCRASHES_(?:DEFAULT|MAX)\b|--crashes-max\b|\bSPOOL_CRASHES_MAX\b/,
  "Adding a metric": /\bspool_database_connections_dropped_total\b|\bDropReason\b|[.#]dropped\b|\bdropped[(:]/,
};

describe("CONTRIBUTING.md", () => {
  for (const [title, example] of Object.entries(RECIPES)) {
    describe(`in "${title}"`, () => {
      const files = listedFiles(sectionOf(title));

      it("lists every source file that names the example, and no other", () => {
        const naming = SOURCES.filter((file) => example.test(read(file)));
        assert.deepEqual(files.filter((file) => /^(?:src|proto|clients)\//.test(file)).sort(), naming.sort());
      });

      it("lists each file once, and only files that name the example", () => {
        assert.deepEqual([...new Set(files)], files);
        assert.deepEqual(
          files.filter((file) => !example.test(read(file))),
          [],
        );
      });

      it("names only paths that exist", () => {
        const paths = [...sectionOf(title).matchAll(/`((?:src|proto|docs|test|examples|clients)\/[^`]+)`/g)];
        assert.deepEqual(
          paths.map(([, path]) => path!).filter((path) => !existsSync(join(ROOT, path))),
          [],
        );
      });
    });
  }

  it(`lists at most ${FIELD_FILES_MAX} files for a field of StartTask that nothing acts on`, () => {
    const [fields = ""] = sectionOf("Adding a field to StartTask").split("\nFiles that act on the field");
    const { length } = listedFiles(fields);
    assert.ok(length > 0 && length <= FIELD_FILES_MAX, `${length} files`);
  });
});

function sectionOf(title: string): string {
  const [, text = ""] = CONTRIBUTING.split(`## ${title}\n`);
  return text.split("\n## ")[0]!;
}

/** Returns the files at the beginning of the items of the lists. Each item says what its files do. */
function listedFiles(section: string): string[] {
  const items = section.matchAll(/^(?:\d+\.|-) ((?:`[^`]+`,?\s+)*`[^`]+`):\s+\S/gm);
  return [...items].flatMap(([, files]) => [...files!.matchAll(/`([^`]+)`/g)].map(([, file]) => file!));
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}
