/** A process that has a data folder open, to be killed. Says so, and waits. */
import { lockDataDir } from "../../src/store/connection/data-dir-lock.ts";

await lockDataDir(process.argv[2]!);
console.log("open");
setInterval(() => {}, 60_000);
