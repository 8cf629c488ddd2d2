import { connect } from "@spooltape/client";

using spool = connect();

const { task } = await spool.start({ kind: "echo", params: { count: 3, delay_ms: 100 } });
for await (const event of spool.follow({ taskId: task.taskId })) {
  if (event.type === "progress") console.log(`${event.phase} ${event.current}/${event.total}`);
}
console.log(await spool.result({ taskId: task.taskId }));
