// A worker in a process of its own, which traces as its environment says: it runs what a server has not got.

import { NodeSDK } from "@opentelemetry/sdk-node";
import { worker } from "../../src/client/client.ts";
import { kindOf } from "./engine-tasks.ts";
import { spans } from "./traced-kinds.ts";

const [address] = process.argv.slice(2);
const sdk = new NodeSDK({ metricReaders: [], logRecordProcessors: [] });
sdk.start();
const remote = kindOf("remote", (task) => spans.run(task));
const breaks = kindOf("breaks", () => Promise.reject(new RangeError("out of range")));
await worker({ address, kinds: [remote, breaks], concurrency: 2 }).stopped;
await sdk.shutdown();
