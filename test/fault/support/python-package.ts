import { join } from "node:path";

/** Debian's, with its python3-grpcio. */
export const PYTHON = "/usr/bin/python3";

/** Where Python finds the package spooltape: its sources, which need no build. */
export const PYTHON_PATH = join(import.meta.dirname, "..", "..", "..", "clients", "python", "src");
