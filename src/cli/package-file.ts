import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Returns the path of a file or folder of this package that is read when a command needs it. Its place relative to this
 * code differs between the sources and the bundle, so this searches the folders above.
 *
 * @param path relative to the root of the package
 * @throws Error if the installation lacks the file
 */
export function packageFile(path: string): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const candidate = join(folder, path);
    if (existsSync(candidate)) return candidate;
    if (folder === dirname(folder))
      throw new Error(`${path} is missing from this installation of Spool; install it again`);
  }
}
