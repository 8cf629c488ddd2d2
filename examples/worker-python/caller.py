"""Starts a task, prints its events until it has ended, and its result: caller.py KIND [PARAMS as JSON]."""

import json
import sys
from dataclasses import asdict

from spooltape import Client

kind, params = sys.argv[1], json.loads(sys.argv[2] if len(sys.argv) > 2 else "{}")
with Client() as spool, spool.run(kind, params) as run:
    print(f"task {run.task.task_id}", flush=True)
    for event in run:
        print(event.seq, event.type, json.dumps(asdict(event), default=str), flush=True)
    print(json.dumps(asdict(spool.result(run.task.task_id)), default=str))
