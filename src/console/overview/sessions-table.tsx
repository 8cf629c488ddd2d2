import type { Session } from "../../client/types.ts";
import { formatCount } from "../format.ts";
import { TimeText } from "../parts/time-text.tsx";

/** A table of the servers and workers. */
export function SessionsTable({ sessions }: { sessions: readonly Session[] }) {
  return (
    <div class="table-scroll" role="group" aria-label="Servers and workers" tabIndex={0}>
      <table class="figures" aria-label="Servers and workers">
        <thead>
          <tr>
            <th>Process</th>
            <th>Runs</th>
            <th class="number">Tasks</th>
            <th>Since</th>
            <th>Last seen</th>
          </tr>
        </thead>
        <tbody>
          {sessions.map((session) => (
            <tr key={session.sessionId}>
              <th scope="row">
                {session.host} {session.pid} <span class="quiet">{session.isWorker ? "worker" : "server"}</span>
              </th>
              <td class="session-kinds">{session.kinds.join(", ")}</td>
              <td class="number">
                {formatCount(session.running)} of {formatCount(session.capacity)}
              </td>
              <td>
                <TimeText time={session.startedAt} />
              </td>
              <td>
                <TimeText time={session.seenAt} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
