import type { SpoolRpcError } from "../codec/rpc-error.ts";
import { PageTitle } from "./parts/page-title.tsx";
import { Problem } from "./parts/problem.tsx";

/** Explains why the server rejects every call of this page, and the two ways to change that. */
export function RefusedPage({ error }: { error: SpoolRpcError }) {
  const { origin, host } = location;
  const seenHost = error.metadata["host"] ?? "another host";
  const seenOrigin = error.metadata["origin"] ?? "none";
  return (
    <>
      <PageTitle title="The server refuses this page" />
      <Problem title="All calls are rejected" error={error} />
      <p>
        This page was loaded from <code>{origin}</code>. Its calls reached the server with <code>Host: {seenHost}</code>{" "}
        and <code>Origin: {seenOrigin}</code>
        {seenHost === host ? "." : ". A proxy has changed them."} To use the console here, do one of the following:
      </p>
      <ul>
        <li>
          configure the proxy to forward the browser's Host and Origin (nginx:{" "}
          <code>proxy_set_header Host $http_host;</code>), and start the server with a token (<code>SPOOL_TOKEN</code>);
        </li>
        <li>
          start the server with <code>SPOOL_HTTP_ORIGINS={origin}</code>.
        </li>
      </ul>
      <p class="quiet">docs/proxies.md has complete examples.</p>
    </>
  );
}
