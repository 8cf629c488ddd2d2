// Starts a task, follows its events to the end and prints the result: npm start

import { connect } from "@spooltape/client";

using spool = connect();

const { task } = await spool.start({
  kind: "count-words",
  params: { texts: ["to be or not to be", "that is the question"] },
});
console.log(`started ${task.taskId}`);
for await (const event of spool.follow({ taskId: task.taskId })) {
  if (event.type === "progress") console.log(`${event.phase} ${event.current}/${event.total}`);
}
const { status, result, error } = await spool.result({ taskId: task.taskId });
console.log(status, result ?? error);
