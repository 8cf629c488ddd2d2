import manifest from "../../package.json" with { type: "json" };

// The entry point: importing this file runs the command in process.argv. `--version` is answered before the rest of the
// command line is loaded, because scripts call it most.

const [word, ...more] = process.argv.slice(2);
if (more.length === 0 && (word === "--version" || word === "-V")) process.stdout.write(`${manifest.version}\n`);
else await import("./run-program.ts");
