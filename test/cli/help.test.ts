import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { buildProgram, HELP_FOOTER } from "../../src/cli/program.ts";
import { manPage } from "../../scripts/man-page.ts";

const COLUMNS = 80;

/** Every command of a program, with the words before it. */
function commandsOf(command: Command, path: string): [path: string, command: Command][] {
  return [[path, command], ...command.commands.flatMap((child) => commandsOf(child, `${path} ${child.name()}`))];
}

/** Returns the help as a terminal of {@link COLUMNS} shows it. */
function helpOf(command: Command): string {
  let help = "";
  command.configureOutput({ writeOut: (text) => (help += text), getOutHelpWidth: () => COLUMNS });
  command.outputHelp();
  return help;
}

describe("the help", () => {
  for (const [path, command] of commandsOf(buildProgram(), "spool")) {
    it(`of ${path} fits ${COLUMNS} columns`, () => {
      const lines = helpOf(command).split("\n");
      assert.ok(lines.length > 3);
      assert.deepEqual(
        lines.filter((line) => line.length > COLUMNS),
        [],
      );
    });
  }
});

describe("the manual page", () => {
  const page = readFileSync(join(import.meta.dirname, "../../man/spool.1"), "utf8");

  it("is the one of this command line: otherwise run npm run build:man", () => {
    assert.equal(page, manPage(buildProgram(), { footer: HELP_FOOTER }));
  });

  it("has every command and every long option", () => {
    const text = page.replaceAll("\\-", "-");
    for (const [path, command] of commandsOf(buildProgram(), "spool").filter(([name]) => !name.includes("__"))) {
      if (path !== "spool") assert.ok(text.includes(`.SS "${path}`), path);
      for (const { long } of command.options) assert.ok(text.includes(`${long}`), `${path} ${long}`);
    }
  });
});
