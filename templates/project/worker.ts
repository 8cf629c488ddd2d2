// Runs the kinds in this process, for the server at SPOOL_ADDRESS (default: 127.0.0.1:50051): npm run worker

import { worker } from "@spooltape/client";
import { countWords } from "./kinds.ts";

await worker({ kinds: [countWords], concurrency: 8 }).stopped;
