import type { Command } from "commander";
import { createToken, listTokens, revokeToken } from "../../client/admin/token-calls.ts";
import type { StoredToken } from "../../client/admin/token-calls.ts";
import { ANY } from "../../domain/principal.ts";
import type { Scope } from "../../domain/principal.ts";
import { PRINCIPAL_LIMITS } from "../../domain/tenant-limits.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import { CALL_RETRY_MS, runAdminCommand } from "../command-context.ts";
import type { AdminContext } from "../command-context.ts";
import { EXIT } from "../exit-codes.ts";
import { addLimits } from "../options/limit-options.ts";
import { collect, collectLabel, collectScope, parseExpiry, splitPatterns } from "../options/option-values.ts";
import { escapeText } from "../output/escape-text.ts";
import { tokenJson } from "../output/json-shapes.ts";
import { jsonText, writeNotice, writeOut } from "../output/output.ts";
import { tableLine } from "../output/table-line.ts";

const HEADINGS = ["ID", "NAME", "STATE", "EXPIRES", "CREATED BY", "RIGHTS"];
const WIDTHS = [36, 20, 7, 24, 16, 0];

interface CreateOptions extends Pick<Limits, (typeof PRINCIPAL_LIMITS)[number]> {
  name: string;
  scope: Scope[];
  namespaces: string[];
  kind?: string[];
  label?: Record<string, string>;
  expires?: Date;
}

export function addToken(program: Command): void {
  const token = program
    .command("token")
    .description("Create, list and revoke the tokens of callers. Needs the scope admin.")
    .helpCommand(false);
  const created = token
    .command("create")
    .description("Create a token and print it. It cannot be printed again.")
    .requiredOption("--name <name>", "Name of the caller, as logs and tasks show it: 1 to 128 of [A-Za-z0-9._@/-]")
    .requiredOption("--scope <scope>", "What the caller may do. Can be repeated.", collectScope)
    .requiredOption(
      "--namespaces <patterns>",
      "Namespaces that the caller may use, separated by commas: names, or beginnings of names with * after them",
      splitPatterns,
    )
    .option("--kind <pattern>", "Kind that the caller sees and starts, or a pattern. Can be repeated.", collect)
    .option(
      "--label <key=value>",
      "Label that each task of the caller has. It sees no others. Can be repeated.",
      collectLabel,
    )
    .option(
      "--expires <time>",
      "When the token expires: 90d from now, or an ISO 8601 time (default: never)",
      parseExpiry,
    );
  addLimits(created, PRINCIPAL_LIMITS);
  created.action((options: CreateOptions, command: Command) =>
    runAdminCommand(command, (context) => create(context, options)),
  );
  token
    .command("list")
    .description("List the tokens that you could have created, newest first, without their secrets")
    .action((_options: object, command: Command) => runAdminCommand(command, list));
  token
    .command("revoke")
    .description("Revoke a token. Its calls are refused and its open streams end, within 10 s at every server.")
    .argument("<token-id>", "Id of the token, as spool token list prints it")
    .action((tokenId: string, _options: object, command: Command) =>
      runAdminCommand(command, (context) => revoke(context, tokenId)),
    );
}

async function create({ transport, json }: AdminContext, options: CreateOptions): Promise<number> {
  const { name, scope: scopes, namespaces, kind: kinds = [ANY], label: labels = {} } = options;
  const grants = { namespaces, scopes, kinds, labels, taskId: null };
  const { expires: expiresAt = null } = options;
  const set = PRINCIPAL_LIMITS.filter((limit) => options[limit] !== undefined);
  const limits = Object.fromEntries(set.map((limit) => [limit, options[limit]]));
  const { token, created } = await createToken(transport, { name, grants, limits, expiresAt });
  if (json) {
    await writeOut(`${jsonText({ token, ...tokenJson(created) })}\n`);
  } else {
    await writeOut(`${token}\n`);
    const until = created.expiresAt === null ? "" : `, expires ${created.expiresAt.toISOString()}`;
    const lines = [`token ${created.tokenId} created for ${created.name}${until}`, "it cannot be printed again"];
    writeNotice({ json, lines, fields: {} });
  }
  return EXIT.succeeded;
}

async function list({ transport, json }: AdminContext): Promise<number> {
  const { tokens, hasMore } = await listTokens(transport, { retryMs: CALL_RETRY_MS });
  const now = Date.now();
  if (tokens.length > 0 && !json) await writeOut(tableLine(HEADINGS, WIDTHS));
  for (const token of tokens) {
    await writeOut(json ? `${jsonText(tokenJson(token))}\n` : tableLine(cells(token, now), WIDTHS));
  }
  if (hasMore) {
    const lines = [`more than ${tokens.length} tokens exist; the rest is not listed`];
    writeNotice({ json, lines, fields: { notice: "more", shown: tokens.length } });
  }
  return EXIT.succeeded;
}

async function revoke({ transport, json }: AdminContext, tokenId: string): Promise<number> {
  const token = await revokeToken(transport, { tokenId, retryMs: CALL_RETRY_MS });
  const text = json ? jsonText(tokenJson(token)) : `token ${token.tokenId} of ${escapeText(token.name)} is revoked`;
  await writeOut(`${text}\n`);
  return EXIT.succeeded;
}

function cells(token: StoredToken, now: number): string[] {
  const { tokenId, name, expiresAt, createdBy } = token;
  const expires = expiresAt?.toISOString() ?? "never";
  return [tokenId, name, stateOf(token, now), expires, createdBy, rightsText(token)].map(escapeText);
}

function stateOf({ revokedAt, expiresAt }: StoredToken, now: number): string {
  if (revokedAt !== null) return "revoked";
  return expiresAt !== null && expiresAt.getTime() <= now ? "expired" : "valid";
}

function rightsText({ grants: { scopes, namespaces, kinds, labels } }: StoredToken): string {
  const rights = [...scopes, "in", ...namespaces];
  if (!kinds.includes(ANY)) rights.push("kinds", ...kinds);
  for (const [key, value] of Object.entries(labels)) rights.push(`${key}=${value}`);
  return rights.join(" ");
}
