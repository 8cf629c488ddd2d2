// `npm run programs:mutations`: plants one bug after the other, and requires that the programs find each of them.

import { findPlantedBugs } from "../../support/planted-bugs.ts";
import type { PlantedBug } from "../../support/planted-bugs.ts";

const BUGS: readonly PlantedBug[] = [
  {
    bug: "a task has an attempt more than its start allows",
    file: "src/domain/lifecycle.ts",
    line: "return attemptsUsed(task) < task.maxAttempts;",
    becomes: "return attemptsUsed(task) <= task.maxAttempts;",
  },
  {
    bug: "a second cancel writes a second event",
    file: "src/domain/lifecycle.ts",
    line: 'return task.cancelRequestedAt === null ? asked(reason, by) : { type: "unchanged" };',
    becomes: "return asked(reason, by);",
  },
  {
    bug: "a list repeats the last task of the page before",
    file: "src/store/tasks/task-queries.ts",
    line: '.where("task_id", "<", filter.beforeTaskId)',
    becomes: '.where("task_id", "<=", filter.beforeTaskId)',
  },
  {
    bug: "the removal of a task does not free its request_id",
    file: "src/store/tasks/removed-tasks.ts",
    line: "where namespace = ${namespace} and request_id = ${requestId}::text and task_id in (select task_id from removed)",
    becomes: "where namespace = ${namespace} and request_id = ${requestId}::text and task_id is null",
  },
  {
    bug: "a follower is refused at the live end",
    file: "src/engine/read/follow.ts",
    line: "if (cursor > page.lastSeq + 1n &&",
    becomes: "if (cursor > page.lastSeq &&",
  },
  {
    bug: "other labels under the same request_id are not named",
    file: "src/domain/request-digest.ts",
    line: 'if (canonicalJson({ ...labels }) !== canonicalJson({ ...stored.labels })) differing.push("labels");',
    becomes: "",
  },
  {
    bug: "an attempt gets the first checkpoint instead of the last",
    file: "src/store/tapes/journal-statement.ts",
    line: "events.findLastIndex(isCheckpoint)",
    becomes: "events.findIndex(isCheckpoint)",
  },
  {
    bug: "a stream over many tasks repeats an event",
    file: "src/engine/read/change-scan.ts",
    line: "fromSeq: seenSeq + 1n,",
    becomes: "fromSeq: seenSeq > 0n ? seenSeq : 1n,",
  },
];

const args = ["--programs", "1000", "--at-once", "30", "--until-difference"];
await findPlantedBugs(BUGS, { main: "test/engine/programs/main.ts", args });
