import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

/** A folder of sources, made for one test. Disposing removes it, with what is beside it. */
export interface SourceTree extends AsyncDisposable {
  readonly dir: string;
  /** A folder that is not in the sources. */
  readonly outside: string;
  write(path: string, content: string | Uint8Array): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes a link at a path, to a target as it stands in the link. */
  link(path: string, target: string): Promise<void>;
  /** Makes a named pipe, which nobody writes to. */
  pipe(path: string): Promise<void>;
}

const run = promisify(execFile);

export async function makeSourceTree(files: Record<string, string> = {}): Promise<SourceTree> {
  const folder = await mkdtemp(join(tmpdir(), "spool-sources-"));
  const dir = join(folder, "sources");
  const outside = join(folder, "outside");
  await mkdir(dir);
  await mkdir(outside);

  async function place(path: string): Promise<string> {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    return join(dir, path);
  }

  const tree: SourceTree = {
    dir,
    outside,
    write: async (path, content) => writeFile(await place(path), content),
    remove: (path) => rm(join(dir, path), { recursive: true }),
    link: async (path, target) => symlink(target, await place(path)),
    pipe: async (path) => {
      await run("mkfifo", [await place(path)]);
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
  for (const [path, content] of Object.entries(files)) await tree.write(path, content);
  return tree;
}
