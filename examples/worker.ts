// Runs a kind of your own in this process, for a Spool server elsewhere: node examples/worker.ts

import { worker } from "@spooltape/client";
import { countWords } from "./count-words.ts";

await worker({ kinds: [countWords], concurrency: 8 }).stopped;
