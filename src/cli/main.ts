import manifest from "../../package.json" with { type: "json" };

// The entry of the command line: importing this file runs the command that the process was started with. What a
// command rests on is loaded after the one question that scripts ask most.

const [word, ...more] = process.argv.slice(2);
if (more.length === 0 && (word === "--version" || word === "-V")) process.stdout.write(`${manifest.version}\n`);
else await import("./run-program.ts");
