import { callersKill } from "./callers-kill.ts";
import { callersPause } from "./callers-pause.ts";
import { clockStep } from "./clock-step.ts";
import type { Fault } from "./fault.ts";
import { fullDisk } from "./full-disk.ts";
import { linkDelay } from "./link-delay.ts";
import { linkHalfOpen } from "./link-half-open.ts";
import { linkReset } from "./link-reset.ts";
import { linkTorn } from "./link-torn.ts";
import { lostCommit } from "./lost-commit.ts";
import { lostNotify } from "./lost-notify.ts";
import { namespaceLimits } from "./namespace-limits.ts";
import { namespaceMove } from "./namespace-move.ts";
import { passwordChange } from "./password-change.ts";
import { postgresKill } from "./postgres-kill.ts";
import { postgresRestart } from "./postgres-restart.ts";
import { promotion } from "./promotion.ts";
import { readOnlyDatabase } from "./read-only-database.ts";
import { roleTimeout } from "./role-timeout.ts";
import { rollingRestart } from "./rolling-restart.ts";
import { serverKill } from "./server-kill.ts";
import { serverPause } from "./server-pause.ts";
import { terminatedBackends } from "./terminated-backends.ts";
import { workerKill } from "./worker-kill.ts";
import { workerPause } from "./worker-pause.ts";
import { workerStop } from "./worker-stop.ts";

export const ALL_FAULTS: readonly Fault[] = [
  serverKill,
  serverPause,
  rollingRestart,
  clockStep,
  workerKill,
  workerStop,
  workerPause,
  callersKill,
  callersPause,
  postgresKill,
  postgresRestart,
  promotion,
  fullDisk,
  readOnlyDatabase,
  passwordChange,
  terminatedBackends,
  lostNotify,
  roleTimeout,
  linkReset,
  linkTorn,
  linkDelay,
  linkHalfOpen,
  lostCommit,
  namespaceMove,
  namespaceLimits,
];
