import { createPublicKey, verify } from "node:crypto";
import type { JsonWebKey } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import Provider from "oidc-provider";
import type { Configuration } from "oidc-provider";
import { Unauthenticated } from "../../../src/domain/errors.ts";
import { ALL_GRANTS, SCOPES } from "../../../src/domain/principal.ts";
import { lastingIdentity } from "../../../src/rpc/call/identity.ts";
import type { Authenticator } from "../../../src/rpc/call/identity.ts";
import { freePort } from "../../support/free-port.ts";

export const CLIENT = { clientId: "spool-console", clientSecret: "the-secret-of-the-client" };
const AUDIENCE = "spool";
/** The server of these tests has no calls for operators. */
const RIGHTS = SCOPES.filter((scope) => scope !== "admin");

/** A real identity provider, whose own pages ask for a name, and for consent. */
export interface TestProvider extends AsyncDisposable {
  readonly issuer: string;
  /** Admits callers with a JWT of this provider that is for `audience`, with the subject as the name. */
  authenticator(audience: string): Authenticator;
}

/** @param consoleUrl where the client's `console/callback` is. @param hasJwt whether access tokens are JWTs for `spool` */
export async function startProvider(consoleUrl: string, { hasJwt = false } = {}): Promise<TestProvider> {
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  const answer = new Provider(issuer, configurationOf(consoleUrl, hasJwt)).callback();
  const server = createServer((request, response) => void answer(request, response));
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    issuer,
    authenticator: (audience) => ({
      isRequired: true,
      async authenticate({ authorization }) {
        if (authorization === undefined) throw new Unauthenticated("missing");
        const claims = await readClaims(issuer, authorization.replace("Bearer ", ""));
        if (claims?.aud !== audience) throw new Unauthenticated("wrong");
        if (claims.exp * 1_000 <= Date.now()) throw new Unauthenticated("expired");
        return lastingIdentity({ ...ALL_GRANTS, scopes: RIGHTS, name: claims.sub });
      },
    }),
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function configurationOf(consoleUrl: string, hasJwt: boolean): Configuration {
  return {
    clients: [
      {
        client_id: CLIENT.clientId,
        client_secret: CLIENT.clientSecret,
        redirect_uris: [`${consoleUrl}/console/callback`],
      },
    ],
    claims: { openid: ["sub"], profile: ["name"], email: ["email"] },
    cookies: { keys: ["a key of this test"] },
    features: hasJwt
      ? {
          resourceIndicators: {
            enabled: true,
            defaultResource: () => "urn:spool",
            useGrantedResource: () => true,
            getResourceServerInfo: () => ({
              scope: "openid profile email",
              audience: AUDIENCE,
              accessTokenFormat: "jwt",
              jwt: { sign: { alg: "RS256" } },
            }),
          },
        }
      : {},
  };
}

interface Claims {
  sub: string;
  aud: string;
  exp: number;
}

/** Returns the claims of a JWT with a valid signature of the provider; null: it has none. */
async function readClaims(issuer: string, token: string): Promise<Claims | null> {
  const [header = "", payload = "", signature = ""] = token.split(".");
  if (signature === "") return null;
  const { keys } = (await (await fetch(`${issuer}/jwks`)).json()) as { keys: (JsonWebKey & { kid: string })[] };
  const { kid } = JSON.parse(Buffer.from(header, "base64url").toString()) as { kid: string };
  const jwk = keys.find((candidate) => candidate.kid === kid);
  if (jwk === undefined) return null;
  const key = createPublicKey({ key: jwk, format: "jwk" });
  const isValid = verify("RSA-SHA256", Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, "base64url"));
  return isValid ? (JSON.parse(Buffer.from(payload, "base64url").toString()) as Claims) : null;
}
