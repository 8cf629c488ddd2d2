import { useState } from "preact/hooks";
import { PageTitle } from "./parts/page-title.tsx";
import { keepToken, tokenState } from "./session-token.ts";

/** Asks for the token that the server requires. Then shows the requested page. */
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
      <PageTitle title="This server requires a token" />
      <p id="token-hint">
        The token is the server's SPOOL_TOKEN. The browser stores it only for this tab (in sessionStorage), until you
        close the tab or choose Forget the token.
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
      <div class="buttons">
        <button type="submit" class="primary">
          Continue
        </button>
      </div>
    </form>
  );
}
