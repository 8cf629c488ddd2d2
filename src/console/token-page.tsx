import { useState } from "preact/hooks";
import { PageTitle } from "./parts/page-title.tsx";
import { keepToken, tokenState } from "./session-token.ts";

/** Asks for the token that the server wants of everybody. What was to be shown is shown after. */
export function TokenPage() {
  const [token, setToken] = useState("");
  const isRefused = tokenState.value === "refused";
  return (
    <form
      class="card token-form"
      onSubmit={(event) => {
        event.preventDefault();
        keepToken(token.trim());
      }}
    >
      <PageTitle title="This server wants a token" />
      <p id="token-hint">
        It is the one that the server was started with, as SPOOL_TOKEN. It is kept in this tab alone (in its
        sessionStorage), until the tab is closed or you have it forgotten.
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
        {isRefused && "The server does not take this token."}
      </p>
      <div class="buttons">
        <button type="submit" class="primary">
          Go on
        </button>
      </div>
    </form>
  );
}
