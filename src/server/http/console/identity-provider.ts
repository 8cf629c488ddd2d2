import type { Configuration, WWWAuthenticateChallenge } from "openid-client";
import type { ProviderSettings } from "../../config/console-settings.ts";

/** How long a request to the provider may take. */
const TIMEOUT_SECONDS = 10;

/** What the server must remember between the beginning and the end of a sign-in. */
export interface BegunSignIn {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  /** The URL of the page that is shown after the sign-in. */
  readonly page: string;
}

/** An error for the person who signs in. */
export class SignInFailed extends Error {
  /** @param message says what is wrong, and what to do */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "SignInFailed";
  }
}

/** An identity provider that speaks OpenID Connect. People sign in with the code flow and PKCE. */
export class IdentityProvider {
  readonly #settings: ProviderSettings;
  #configuration: Promise<Configuration> | undefined;

  constructor(settings: ProviderSettings) {
    this.#settings = settings;
  }

  /** The host of the provider, for people. */
  get host(): string {
    return new URL(this.#settings.issuer).host;
  }

  /**
   * Begins a sign-in.
   *
   * @param page where the person continues; the provider must know the URL `console/callback` beside it
   * @returns where to send the browser
   * @throws SignInFailed
   */
  async begin(page: URL): Promise<{ location: URL; begun: BegunSignIn }> {
    const client = await import("openid-client");
    const configuration = await this.#discover();
    const verifier = client.randomPKCECodeVerifier();
    const begun = { state: client.randomState(), nonce: client.randomNonce(), verifier, page: page.href };
    const location = client.buildAuthorizationUrl(configuration, {
      redirect_uri: callbackOf(page).href,
      scope: this.#settings.scopes,
      state: begun.state,
      nonce: begun.nonce,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    });
    return { location, begun };
  }

  /**
   * Ends a sign-in: exchanges the code, and verifies the ID token.
   *
   * @param query of the request with which the provider has sent the browser back
   * @returns tokens that may admit the caller, the first choice first: the access token if it is a JWT, and the ID token
   * @throws SignInFailed
   */
  async finish({ page, state, nonce, verifier }: BegunSignIn, query: string): Promise<string[]> {
    const client = await import("openid-client");
    const configuration = await this.#discover();
    const url = callbackOf(new URL(page));
    url.search = query;
    try {
      const { access_token: accessToken, id_token: idToken } = await client.authorizationCodeGrant(configuration, url, {
        pkceCodeVerifier: verifier,
        expectedState: state,
        expectedNonce: nonce,
        idTokenExpected: true,
      });
      return [...(accessToken.split(".").length === 3 ? [accessToken] : []), idToken!];
    } catch (cause) {
      if (cause instanceof client.AuthorizationResponseError) {
        throw new SignInFailed(`The identity provider refused the sign-in: ${oauthError(cause)}.`, { cause });
      }
      const isChallenge = cause instanceof client.WWWAuthenticateChallengeError;
      if (isChallenge || cause instanceof client.ResponseBodyError) {
        const what = isChallenge ? `HTTP ${cause.status}, ${challengeOf(cause.cause)}` : oauthError(cause);
        const todo = "Check SPOOL_OIDC_CLIENT_ID and SPOOL_OIDC_CLIENT_SECRET, and the client at the provider.";
        throw new SignInFailed(`The identity provider refused the code: ${what}. ${todo}`, { cause });
      }
      throw new SignInFailed(`The answer of the identity provider is not valid: ${causesOf(cause)}.`, { cause });
    }
  }

  async #discover(): Promise<Configuration> {
    const client = await import("openid-client");
    const { issuer, clientId, clientSecret } = this.#settings;
    const authentication = clientSecret === null ? client.None() : client.ClientSecretBasic(clientSecret);
    // The settings allow plain HTTP on this machine only.
    const isPlain = issuer.startsWith("http:");
    const execute = [client.enableNonRepudiationChecks, ...(isPlain ? [client.allowInsecureRequests] : [])];
    this.#configuration ??= client.discovery(new URL(issuer), clientId, undefined, authentication, {
      execute,
      timeout: TIMEOUT_SECONDS,
    });
    try {
      return await this.#configuration;
    } catch (cause) {
      this.#configuration = undefined; // The next sign-in tries again.
      const todo = "Check SPOOL_OIDC_ISSUER.";
      throw new SignInFailed(`The identity provider ${issuer} does not answer: ${causesOf(cause)}. ${todo}`, { cause });
    }
  }
}

function callbackOf(page: URL): URL {
  const callback = new URL("console/callback", page);
  callback.search = callback.hash = "";
  return callback;
}

function oauthError({ error, error_description: description }: { error: string; error_description?: string }): string {
  return description === undefined ? error : `${error} (${description})`;
}

function challengeOf([challenge]: readonly WWWAuthenticateChallenge[]): string {
  const { error, error_description: description } = challenge?.parameters ?? {};
  return oauthError({
    error: error ?? "no reason",
    ...(description !== undefined && { error_description: description }),
  });
}

/** Returns the messages of an error and of its causes. Those of the library alone say little. */
function causesOf(error: unknown): string {
  const messages: string[] = [];
  for (let at = error; at instanceof Error && messages.length < 4; at = at.cause) messages.push(at.message);
  return messages.join(": ");
}
