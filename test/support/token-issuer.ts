import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import type { JSONWebKeySet, JWTPayload } from "jose";

/** An issuer of JSON Web Tokens, whose keys are also served over HTTP. */
export interface TokenIssuer extends AsyncDisposable {
  readonly issuer: string;
  readonly audience: string;
  readonly url: string;
  /** How often the keys were fetched. */
  readonly fetches: number;
  /** Whether the URL answers with 500. */
  isDown: boolean;
  keySet(): JSONWebKeySet;
  /** Signs with the newest key. By default, the token is valid for an hour. */
  sign(claims?: JWTPayload, options?: { expiresInS?: number; header?: Record<string, string> }): Promise<string>;
  /** Adds a key, and removes the others unless they are kept. */
  rotate(options?: { isKept?: boolean }): Promise<void>;
}

export async function openTokenIssuer(algorithm = "ES256"): Promise<TokenIssuer> {
  const keys: {
    kid: string;
    privateKey: Awaited<ReturnType<typeof generateKeyPair>>["privateKey"];
    jwk: JSONWebKeySet["keys"][number];
  }[] = [];
  let made = 0;
  const addKey = async () => {
    const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
    const kid = `key-${++made}`;
    keys.push({ kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: algorithm } });
  };
  await addKey();
  const keySet = () => ({ keys: keys.map(({ jwk }) => jwk) });
  const state = { isDown: false, fetches: 0 };
  const server = createServer((_request, response) => {
    state.fetches++;
    response.statusCode = state.isDown ? 500 : 200;
    response.setHeader("content-type", "application/json").end(JSON.stringify(keySet()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = "https://issuer.example";
  const audience = "spool";
  return {
    issuer,
    audience,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`,
    get fetches() {
      return state.fetches;
    },
    get isDown() {
      return state.isDown;
    },
    set isDown(isDown) {
      state.isDown = isDown;
    },
    keySet,
    sign(claims = {}, { expiresInS = 3_600, header = {} } = {}) {
      const { kid, privateKey } = keys.at(-1)!;
      const exp = Math.floor(Date.now() / 1_000) + expiresInS;
      const payload = { iss: issuer, aud: audience, sub: "alice", exp, ...claims };
      return new SignJWT(payload).setProtectedHeader({ alg: algorithm, kid, ...header }).sign(privateKey);
    },
    async rotate({ isKept = false } = {}) {
      if (!isKept) keys.length = 0;
      await addKey();
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
