import assert from "node:assert/strict";
import { chmod, mkdir, mkdtempDisposable, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { makeCertificate } from "../support/certificates.ts";
import { serveScript, TASK_ID, taskMessage } from "../client/scripted-server.ts";
import { runSpool } from "./spool-process.ts";

const TOKEN = "s3cret-token";

/** A folder for the contexts of a test, and the commands that use them. */
async function openContexts() {
  const folder = await mkdtempDisposable(join(tmpdir(), "spool-contexts-"));
  const environment = { XDG_CONFIG_HOME: folder.path };
  return {
    folder: folder.path,
    file: join(folder.path, "spool", "contexts.json"),
    spool: (words: string[], { input, ...more }: { input?: string; [name: string]: string | undefined } = {}) =>
      runSpool(words, {
        environment: { ...environment, ...(more as Record<string, string>) },
        ...(input !== undefined && { input }),
      }),
    [Symbol.asyncDispose]: () => folder.remove(),
  };
}

/** Serves tasks, and records the token of each call. */
async function serveTasks() {
  const tokens: unknown[] = [];
  const server = await serveScript({
    getTask: (_, { metadata }) => {
      tokens.push(metadata.get("authorization")[0]);
      return { task: taskMessage() };
    },
  });
  return { ...server, tokens, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

describe("spool context @slow", () => {
  it("stores contexts in a file that only the user can read, and never prints a token", async () => {
    await using contexts = await openContexts();
    const { spool, file } = contexts;
    const added = await spool(["context", "add", "prod", "--address", "https://spool.example:443", "--token-stdin"], {
      input: `${TOKEN}\n`,
    });
    assert.deepEqual([added.code, added.stderr], [0, ""]);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.equal((await stat(join(contexts.folder, "spool"))).mode & 0o777, 0o700);
    assert.deepEqual(await readdir(join(contexts.folder, "spool")), ["contexts.json"]);
    assert.equal(JSON.parse(await readFile(file, "utf8")).contexts.prod.token, TOKEN);
    await spool(["context", "add", "dev", "--address", "127.0.0.1:1", "--http-address", "http://127.0.0.1:2", "--use"]);

    const list = await spool(["context", "list"]);
    assert.deepEqual(
      list.stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.trim().split(/ {2,}/)),
      [
        ["CONTEXT", "ADDRESS", "TOKEN"],
        ["*", "dev", "127.0.0.1:1", "none"],
        ["prod", "https://spool.example:443", "stored"],
      ],
    );
    const json = (await spool(["context", "list", "--json"])).stdout.trimEnd().split("\n");
    assert.deepEqual(
      json.map((line) => JSON.parse(line)).map(({ name, in_use: inUse }) => [name, inUse]),
      [
        ["dev", true],
        ["prod", false],
      ],
    );
    const shown = await spool(["context", "show", "prod"]);
    assert.match(shown.stdout, /^token +stored$/m);
    assert.match((await spool(["context", "show"])).stdout, /^http_address +http:\/\/127\.0\.0\.1:2\/$/m);
    for (const { stdout, stderr } of [added, list, shown]) assert.ok(!`${stdout}${stderr}`.includes(TOKEN));

    assert.equal((await spool(["context", "use", "prod"])).stdout, "context prod: is the current context\n");
    assert.match((await spool(["context", "remove", "prod"])).stdout, /removed; no context is the current one\n$/);
    assert.equal(JSON.parse(await readFile(file, "utf8")).current, null);
    await spool(["context", "use", "dev"]);
    await spool(["context", "use", "--none"]);
    assert.equal(JSON.parse(await readFile(file, "utf8")).current, null);
  });

  it("keeps a file that is a link a link", async () => {
    await using contexts = await openContexts();
    const target = join(contexts.folder, "dotfiles.json");
    await mkdir(join(contexts.folder, "spool"));
    await writeFile(target, "{}");
    await symlink(target, contexts.file);
    await contexts.spool(["context", "add", "dev", "--address", "127.0.0.1:1"]);
    assert.equal(JSON.parse(await readFile(target, "utf8")).contexts.dev.address, "127.0.0.1:1");
  });

  for (const [words, message] of [
    [["add", "a b", "--address", "h"], /context name "a b": must be 1 to 63 of/],
    [["add", "-x", "--address", "h"], /unknown option '-x'/],
    [["add", "known", "--address", "h"], /context known: exists already; replace it with --replace/],
    [["add", "new"], /give the address of the server with --address/],
    [["add", "new", "--address", "a b"], /--address "a b": must be host:port/],
    [["add", "new", "--address", "h", "--token", "t"], /--token: not allowed .* --token-file or --token-stdin/],
    [["add", "new", "--address", "h", "--token-file", "x", "--token-stdin"], /--token-stdin: not allowed with/],
    [["add", "new", "--address", "h", "--token-file", "/no/such"], /context new: token file: ENOENT/],
    [["add", "new", "--address", "h", "--token-stdin"], /token from standard input: must be 1 to 4,096/],
    [
      ["add", "new", "--address", "h", "--http-address", "ftp://h"],
      /--http-address "ftp:\/\/h": must be a URL such as/,
    ],
    [["add", "new", "--address", "h", "--tls-ca", "x"], /need an https:\/\/ address; --address is h/],
    [["add", "new", "--address", "https://h", "--tls-key", "x"], /--tls-cert, --tls-key: must be given together/],
    [["add", "new", "--address", "https://h", "--tls-ca", "/no/such"], /context new: TLS authorities: ENOENT/],
    [["use", "other"], /unknown context "other"; known contexts: known; add it with spool context add/],
    [["use"], /give either the name of a context or --none/],
    [["show"], /no context is in use; give the name of a context/],
    [["remove", "constructor"], /unknown context "constructor"/],
  ] as [string[], RegExp][]) {
    it(`${words.join(" ")} exits with 2 and reports why`, async () => {
      await using contexts = await openContexts();
      const before = JSON.stringify({ current: null, contexts: { known: { address: "127.0.0.1:1" } } });
      await mkdir(join(contexts.folder, "spool"));
      await writeFile(contexts.file, before);
      const { code, stdout, stderr } = await contexts.spool(["context", ...words]);
      assert.deepEqual([code, stdout], [2, ""], stderr);
      assert.match(stderr, message);
      assert.equal(await readFile(contexts.file, "utf8"), before);
    });
  }

  it("reports a file that is not valid without quoting it, and a file that cannot be written", async () => {
    await using contexts = await openContexts();
    await mkdir(join(contexts.folder, "spool"));
    for (const [text, problem] of [
      [`{"token": "${TOKEN}`, "must be JSON"],
      [`[]`, "the file must be a JSON object"],
      [`{"contexts": {"a": {"token": "${TOKEN}"}}}`, "context a: address must be a text"],
      [`{"current": 1}`, "current must be a text or null"],
    ] as const) {
      await writeFile(contexts.file, text);
      const { code, stderr } = await contexts.spool(["list"]);
      assert.deepEqual([code, stderr], [2, `spool: ${contexts.file}: ${problem}; correct or remove the file\n`]);
    }
    const blocked = join(contexts.folder, "blocked");
    await writeFile(blocked, "");
    const { code, stderr } = await contexts.spool(["context", "add", "a", "--address", "h"], {
      XDG_CONFIG_HOME: blocked,
    });
    assert.equal(code, 2);
    assert.match(stderr, /blocked\/spool\/contexts\.json: cannot be written: /);
  });
});

describe("a context", () => {
  it("gives commands its address and token, after flags and before the default", async () => {
    await using contexts = await openContexts();
    await using near = await serveTasks();
    await using far = await serveTasks();
    const tokenFile = join(contexts.folder, "token");
    await writeFile(tokenFile, "first\n");
    const add = (name: string, ...words: string[]) => contexts.spool(["context", "add", name, ...words]);
    await add("near", "--address", near.address, "--token-file", tokenFile, "--use");
    await contexts.spool(["context", "add", "far", "--address", far.address, "--token-stdin"], { input: TOKEN });
    const get = async (words: string[], variables: Record<string, string> = {}) => {
      const { code, stderr } = await contexts.spool(["get", TASK_ID, ...words], variables);
      assert.equal(code, 0, stderr);
    };
    const taken = () => [near.tokens.splice(0), far.tokens.splice(0)].map((tokens) => tokens[0] ?? null);

    await get([]);
    assert.deepEqual(taken(), ["Bearer first", null]);
    await writeFile(tokenFile, "second\n");
    await get([]);
    assert.deepEqual(taken(), ["Bearer second", null], "the token file is read again");
    await get([], { SPOOL_CONTEXT: "far" });
    assert.deepEqual(taken(), [null, `Bearer ${TOKEN}`]);
    await get(["--context", "near"], { SPOOL_CONTEXT: "far", SPOOL_ADDRESS: "127.0.0.1:1", SPOOL_TOKEN: "other" });
    assert.deepEqual(taken(), ["Bearer second", null], "--context counts as a flag");
    await get([], { SPOOL_TOKEN: "variable" });
    assert.deepEqual(taken(), ["Bearer variable", null]);
    await get(["--token", "flag"], { SPOOL_TOKEN: "variable" });
    assert.deepEqual(taken(), ["Bearer flag", null]);
    const config = join(contexts.folder, "spool.json");
    await writeFile(config, JSON.stringify({ token: "file" }));
    await get(["--config", config]);
    assert.deepEqual(taken(), ["Bearer file", null]);
    await get(["--config", config], { SPOOL_CONTEXT: "far" });
    assert.deepEqual(taken(), [null, `Bearer ${TOKEN}`]);
    await rm(tokenFile);
    await get([], { SPOOL_TOKEN: "variable" });
    assert.deepEqual(taken(), ["Bearer variable", null], "a token file that is not used is not read");
    const marked = await contexts.spool(["context", "list"], { SPOOL_ADDRESS: near.address });
    assert.ok(!marked.stdout.includes("*"), marked.stdout);
  });

  it("sends its token to no other address", async () => {
    await using contexts = await openContexts();
    await using other = await serveTasks();
    await contexts.spool(["context", "add", "near", "--address", "127.0.0.1:1", "--token-stdin", "--use"], {
      input: TOKEN,
    });
    const config = join(contexts.folder, "spool.json");
    await writeFile(config, JSON.stringify({ address: other.address }));
    for (const [words, variables] of [
      [["--address", other.address], {}],
      [[], { SPOOL_ADDRESS: other.address, SPOOL_CONTEXT: "near" }],
      [["--config", config], {}],
    ] as [string[], Record<string, string>][]) {
      const { code } = await contexts.spool(["get", TASK_ID, ...words], variables);
      assert.equal(code, 0);
    }
    assert.deepEqual(other.tokens, Array.from({ length: 3 }));
  });

  it("that is unknown is reported with what named it, and --context is not allowed with --address", async () => {
    await using contexts = await openContexts();
    const unknown = await contexts.spool(["list"], { SPOOL_CONTEXT: "nope" });
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /^spool: SPOOL_CONTEXT: unknown context "nope"; there are no contexts; add it with/);
    const both = await contexts.spool(["list", "--context", "a", "--address", "b"]);
    assert.equal(both.code, 2);
    assert.match(both.stderr, /--context: not allowed with --address/);
  });

  it("is repeated in the commands that a command prints", async () => {
    await using contexts = await openContexts();
    await using server = await serveScript({ startTask: () => ({ task: taskMessage() }) });
    await contexts.spool(["context", "add", "near", "--address", server.address]);
    const { stdout } = await contexts.spool(["start", "echo", "--context", "near"]);
    assert.equal(JSON.parse(stdout).follow, `spool follow ${TASK_ID} --context near`);
  });

  it("trusts the authorities of --tls-ca, and authenticates with --tls-cert", async () => {
    await using contexts = await openContexts();
    using certificate = makeCertificate();
    const pair = { cert_chain: certificate.cert, private_key: certificate.key };
    const server = new Server();
    const port = await new Promise<number>((resolve, reject) => {
      const secure = ServerCredentials.createSsl(certificate.cert, [pair], true);
      server.bindAsync("127.0.0.1:0", secure, (error, bound) => (error ? reject(error) : resolve(bound)));
    });
    const address = ["--address", `https://127.0.0.1:${port}`];
    const tls = ["--tls-cert", certificate.certFile, "--tls-key", certificate.keyFile];
    const added = [
      await contexts.spool(["context", "add", "full", ...address, "--tls-ca", certificate.certFile, ...tls]),
      await contexts.spool(["context", "add", "bare", ...address]),
    ];
    assert.deepEqual(
      added.map(({ code }) => code),
      [0, 0],
    );
    const garbage = join(contexts.folder, "garbage.pem");
    await writeFile(garbage, "no certificate");
    await chmod(garbage, 0o600);
    const invalid = await contexts.spool([
      "context",
      "add",
      "bad",
      ...address,
      "--tls-cert",
      garbage,
      "--tls-key",
      garbage,
    ]);
    assert.equal(invalid.code, 2);
    assert.match(invalid.stderr, /context bad: TLS files .*garbage\.pem/);
    // The server has no services: UNIMPLEMENTED means that the connection works.
    assert.match((await contexts.spool(["get", TASK_ID, "--context", "full"])).stderr, /UNIMPLEMENTED/);
    assert.match((await contexts.spool(["get", TASK_ID, "--context", "bare"])).stderr, /is not trusted/);
    server.forceShutdown();
  });
});
