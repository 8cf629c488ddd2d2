import type { SpoolRpcError } from "../../codec/rpc-error.ts";

/** An error message that screen readers read when it appears. */
export function Problem({ title, error }: { title: string; error: SpoolRpcError }) {
  return (
    <div class="problem" role="alert">
      <strong>{title}</strong>
      <p>
        {error.message} <span class="quiet">({error.reason ?? error.code})</span>
      </p>
      {error.metadata["error_id"] !== undefined && (
        <p class="quiet">The server's log tells more under error_id {error.metadata["error_id"]}.</p>
      )}
    </div>
  );
}
