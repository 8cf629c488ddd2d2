// `npm run build:man`: writes man/spool.1, the manual page of the command line. A test holds it to the commands.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildProgram, HELP_FOOTER } from "../src/cli/program.ts";
import { manPage } from "./man-page.ts";

const FOLDER = join(import.meta.dirname, "..", "man");
mkdirSync(FOLDER, { recursive: true });
writeFileSync(join(FOLDER, "spool.1"), manPage(buildProgram(), { footer: HELP_FOOTER }));
