"""Starts a task, prints its events until it has ended, and its result: caller.py KIND [PARAMS as JSON]."""

import json
import os
import sys
import time
import uuid

import grpc
from google.protobuf.json_format import MessageToDict, MessageToJson, ParseDict
from spool.v1 import task_service_pb2 as pb
from spool.v1.task_service_pb2_grpc import TaskServiceStub

BACKOFF_S = 0.2
# A connection that is dead though nobody has closed it is found by a ping.
KEEPALIVE = [("grpc.keepalive_time_ms", 20_000), ("grpc.http2.max_pings_without_data", 0)]


def again(error):
    """Waits before the next try. Raises an error that another try would meet too."""
    if error.code() != grpc.StatusCode.UNAVAILABLE:
        raise error
    time.sleep(BACKOFF_S)


def patiently(call, request, **options):
    while True:
        try:
            return call(request, **options)
        except grpc.RpcError as error:
            again(error)


def follow(tasks, task_id, from_seq=1, **options):
    """Every event once and in order, over lost connections, to the last."""
    while True:
        try:
            for frame in tasks.StreamEvents(pb.StreamEventsRequest(task_id=task_id, from_seq=from_seq), **options):
                yield from frame.events
                from_seq = frame.next_from_seq
            return
        except grpc.RpcError as error:
            again(error)


def main(kind, params="{}"):
    token = os.environ.get("SPOOL_TOKEN")
    options = {"metadata": [("authorization", f"Bearer {token}")] if token else None}
    with grpc.insecure_channel(os.environ.get("SPOOL_ADDRESS", "127.0.0.1:50051"), KEEPALIVE) as channel:
        tasks = TaskServiceStub(channel)
        # By its request_id a start that is sent again finds its task, and starts no other.
        request = pb.StartTaskRequest(kind=kind, request_id=str(uuid.uuid4()))
        request = ParseDict({"params": json.loads(params)}, request)
        task_id = patiently(tasks.StartTask, request, **options).task.task_id
        print(f"task {task_id}", flush=True)
        for event in follow(tasks, task_id, **options):
            body = event.WhichOneof("body")
            print(event.seq, body, json.dumps(MessageToDict(getattr(event, body))) if body else "", flush=True)
        result = patiently(tasks.GetResult, pb.GetResultRequest(task_id=task_id), **options)
        print(MessageToJson(result, indent=None))


if __name__ == "__main__":
    main(*sys.argv[1:])
