// A caller in a process of its own, which traces as its environment says: it starts a task within a span of its own.

import { trace } from "@opentelemetry/api";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { connect } from "../../src/client/client.ts";

const [address] = process.argv.slice(2);
const sdk = new NodeSDK({ metricReaders: [], logRecordProcessors: [] });
sdk.start();
using client = connect({ address });
const taskId = await trace.getTracer("caller").startActiveSpan("order a cake", async (span) => {
  const { task } = await client.start({ kind: "echo", params: { count: 1 } });
  await client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 });
  span.end();
  return task.taskId;
});
await sdk.shutdown();
process.send!({ taskId });
process.disconnect();
