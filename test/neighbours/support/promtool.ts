import { spawnSync } from "node:child_process";

/** What promtool prints. @throws Error with that, where it finds fault */
export function promtool(args: readonly string[], input = ""): string {
  const { status, stdout, stderr } = spawnSync("promtool", args, { input, encoding: "utf8" });
  if (status !== 0) throw new Error(`promtool ${args.join(" ")}\n${stdout}${stderr}`);
  return stdout;
}
