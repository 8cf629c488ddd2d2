import { readFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../support/free-port.ts";

const PAGE = join(import.meta.dirname, "../../../docs/proxies.md");

/** Where a server is: host and port of each of its endpoints. */
export interface Endpoints {
  http: string;
  grpc: string;
}

/** A configuration of docs/proxies.md, for a server that is elsewhere than the page has it. */
export interface DocumentedProxy {
  configuration: string;
  /** Where the proxy listens. */
  at: Endpoints;
  ports: readonly number[];
}

/** @param language of the block in the page */
export async function documentedProxy(language: "nginx" | "haproxy", server: Endpoints): Promise<DocumentedProxy> {
  const [, block] = new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, "m").exec(readFileSync(PAGE, "utf8"))!;
  const [httpPort, grpcPort] = [await freePort(), await freePort()];
  const at = { http: `127.0.0.1:${httpPort}`, grpc: `127.0.0.1:${grpcPort}` };
  const configuration = [
    ["127.0.0.1:8080", server.http],
    ["127.0.0.1:50051", server.grpc],
    [/(listen |bind :)8000/, (_: string, word: string) => `${word.replace(":", "")}${at.http}`],
    [/(listen |bind :)8001/, (_: string, word: string) => `${word.replace(":", "")}${at.grpc}`],
  ].reduce((text, [from, to]) => {
    const replaced = text.replace(from as string, to as string);
    if (replaced === text) throw new Error(`docs/proxies.md, ${language}: there is no ${String(from)}`);
    return replaced;
  }, block!);
  return { configuration, at, ports: [httpPort, grpcPort] };
}
