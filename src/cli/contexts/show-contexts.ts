import type { GlobalFlags } from "../options/settings.ts";
import { UsageError } from "../options/usage-error.ts";
import { escapeText } from "../output/escape-text.ts";
import { jsonText, writeOut } from "../output/output.ts";
import { tableLine } from "../output/table-line.ts";
import { contextFilePath, readContextFile } from "./context-file.ts";
import type { ServerContext } from "./context-file.ts";
import { contextNamed, selectContextName } from "./find-context.ts";

const HEADINGS = ["", "CONTEXT", "ADDRESS", "TOKEN"];
const WIDTHS = [1, 20, 40, 0];

/** Prints the contexts, one line each, without their tokens. */
export async function listContexts({ json, context }: GlobalFlags): Promise<void> {
  const { current, contexts } = readContextFile(contextFilePath());
  const used = selectContextName(context, process.env, () => current)?.name;
  const entries = Object.entries(contexts).toSorted(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length > 0 && !json) await writeOut(tableLine(HEADINGS, WIDTHS));
  for (const [name, fields] of entries) {
    const isUsed = name === used;
    const cells = [isUsed ? "*" : "", name, fields.address, tokenText(fields)].map(escapeText);
    await writeOut(json ? `${jsonText(shape(name, fields, isUsed))}\n` : tableLine(cells, WIDTHS));
  }
}

/** Prints a context without its token: the named one, else the one that commands use. @throws UsageError */
export async function showContext(wanted: string | undefined, { json, context }: GlobalFlags): Promise<void> {
  const file = readContextFile(contextFilePath());
  const used = selectContextName(context, process.env, () => file.current)?.name;
  const name = wanted ?? used;
  if (name === undefined) throw new UsageError("context show: no context is in use; give the name of a context");
  const shown = shape(name, contextNamed(file, name, "context show"), name === used);
  if (json) return await writeOut(`${jsonText(shown)}\n`);
  const set = Object.entries(shown).filter(([, value]) => value !== null);
  const columns = Math.max(...set.map(([field]) => field.length));
  await writeOut(set.map(([field, value]) => `${field.padEnd(columns)}  ${escapeText(String(value))}\n`).join(""));
}

/** The JSON object of a context. Says where the token is, never the token. */
function shape(name: string, fields: ServerContext, isUsed: boolean) {
  const {
    address,
    httpAddress = null,
    tokenFile = null,
    namespace = null,
    tlsCa = null,
    tlsCert = null,
    tlsKey = null,
  } = fields;
  return {
    name,
    in_use: isUsed,
    address,
    http_address: httpAddress,
    token: tokenText(fields),
    token_file: tokenFile,
    namespace,
    tls_ca: tlsCa,
    tls_cert: tlsCert,
    tls_key: tlsKey,
  };
}

function tokenText({ token, tokenFile }: ServerContext): string {
  if (tokenFile !== undefined) return "in a file";
  return token === undefined ? "none" : "stored";
}
