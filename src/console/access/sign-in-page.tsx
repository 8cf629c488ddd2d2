import { useState } from "preact/hooks";
import type { SpoolRpcError } from "../../codec/rpc-error.ts";
import { PageTitle } from "../parts/page-title.tsx";
import { Problem } from "../parts/problem.tsx";
import { session, signIn } from "./session.ts";

/** Why the caller must sign in, by the server's word. `missing` needs no words. */
const PROBLEMS: Readonly<Record<string, string>> = {
  expired: "Your session has ended. Sign in again.",
  revoked: "Your token was revoked.",
  wrong: "The server no longer accepts the token of your session.",
};

/** Asks the caller to sign in. Then the requested page is shown. */
export function SignInPage() {
  const { problem = "", signIn: ways } = session.value!;
  return (
    <div class="card sign-in">
      <PageTitle title="Sign in" />
      {PROBLEMS[problem] !== undefined && <p role="status">{PROBLEMS[problem]}</p>}
      {ways.provider !== null && (
        <p>
          <a class="button primary" href={`console/login?page=${encodeURIComponent(location.href)}`}>
            Sign in with {ways.provider}
          </a>
        </p>
      )}
      {ways.token && <TokenForm />}
    </div>
  );
}

function TokenForm() {
  const [token, setToken] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<SpoolRpcError | null>(null);
  const submit = async () => {
    setBusy(true);
    setError(null);
    try {
      await signIn(token.trim());
    } catch (failure) {
      setError(failure as SpoolRpcError);
      setBusy(false);
    }
  };
  const isRefused = error?.code === "UNAUTHENTICATED";
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <p id="token-hint">
        Use a token of this service. The browser keeps it in a cookie that no script can read, for at most 12 hours or
        until you sign out.
      </p>
      <label class="field">
        <span>Token</span>
        <input
          type="password"
          value={token}
          required
          pattern="[!-~]+"
          title="visible ASCII characters, without spaces"
          autocomplete="off"
          aria-describedby="token-hint token-problem"
          aria-invalid={isRefused}
          onInput={(event) => setToken(event.currentTarget.value)}
        />
      </label>
      <p id="token-problem" class="violation" role="alert">
        {isRefused && "The server rejected this token."}
      </p>
      {error !== null && !isRefused && <Problem title="Failed to sign in" error={error} />}
      <div class="buttons">
        <button type="submit" class="primary" disabled={isBusy}>
          Sign in
        </button>
      </div>
    </form>
  );
}
