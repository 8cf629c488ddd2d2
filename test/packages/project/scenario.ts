// What a user's program does with the installed packages. Compiled for each module system, and run on each Node.

import { connect, defineKind, SpoolRpcError, worker } from "@spooltape/client";
import type { SpoolClient, SpoolEvent } from "@spooltape/client";
import { runKind } from "@spooltape/client/testing";
import { connect as connectOverWeb } from "@spooltape/client/web";
import * as v from "valibot";

/** The server's addresses. */
const [, , address = "", url = ""] = process.argv;
const KIND = `sum-${process.pid}`;

const sum = defineKind({
  name: KIND,
  params: v.object({ numbers: v.array(v.number()) }),
  async run(task): Promise<{ sum: number }> {
    let sum = 0;
    for (const [index, number] of task.params.numbers.entries()) {
      sum += number;
      await task.progress("sum", index + 1, task.params.numbers.length);
    }
    return { sum };
  },
});

/** Starts a task, follows it to its end, and returns its last event after a check of the whole tape. */
async function follow(client: SpoolClient): Promise<SpoolEvent> {
  const { task, events } = await client.run({ kind: KIND, params: { numbers: [1, 2, 3] } });
  const tape: SpoolEvent[] = [];
  for await (const event of events) tape.push(event);
  const again: SpoolEvent[] = [];
  for await (const event of client.follow({ taskId: task.taskId, fromSeq: 2n })) again.push(event);
  const isWhole = tape.every(({ seq }, index) => seq === BigInt(index + 1));
  if (!isWhole || tape.length !== 5 || again.length !== 4) throw new Error(`a tape of ${tape.length} events`);
  const { result } = await client.result({ taskId: task.taskId });
  if (result?.["sum"] !== 6) throw new Error(`the result is ${JSON.stringify(result)}`);
  return tape.at(-1)!;
}

async function refused(client: SpoolClient): Promise<string> {
  try {
    await client.start({ kind: "greet", params: { name: 1 } });
    return "nothing";
  } catch (error) {
    return error instanceof SpoolRpcError ? `${error.code} ${error.violations[0]?.field}` : String(error);
  }
}

async function main(): Promise<void> {
  const client = connect({ address });
  const web = connectOverWeb({ url });
  const running = worker({ address, kinds: [sum], concurrency: 2, signals: false });
  const ran = {
    caller: (await follow(client)).type,
    web: (await follow(web)).type,
    refusal: await refused(client),
    webRefusal: await refused(web),
    testing: (await runKind(sum, { numbers: [4, 5] }, { clock: "skip" })).result,
  };
  await running.stop();
  client.close();
  web.close();
  console.log(JSON.stringify(ran));
}

void main();
