"""A caller in Python on the C core of gRPC: start, stream, result, cancel. Shares no code with Spool.

usage: caller.py ADDRESS DESCRIPTORS, where DESCRIPTORS is a file with the FileDescriptorSet of spool.v1.
Prints a line for each thing that held, and exits with a traceback at the first that does not.
"""

import sys

import grpc
from google.protobuf import descriptor_pb2, json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool

address, descriptors = sys.argv[1:]
files = descriptor_pb2.FileDescriptorSet.FromString(open(descriptors, "rb").read())
pool = DescriptorPool()
for file in files.file:
    pool.Add(file)
factory = message_factory.MessageFactory(pool)
service = pool.FindServiceByName("spool.v1.TaskService")
channel = grpc.insecure_channel(address)


def call(name, request):
    """Calls a method by its descriptor; messages are dicts in the JSON mapping, with the names of the proto."""
    method = service.FindMethodByName(name)
    input_class, output_class = map(factory.GetPrototype, (method.input_type, method.output_type))
    answers_stream = name in ("StreamEvents", "RunTask")
    kind = channel.unary_stream if answers_stream else channel.unary_unary
    stub = kind(
        f"/{service.full_name}/{name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=output_class.FromString,
    )
    answer = stub(json_format.ParseDict(request, input_class()), timeout=30)
    plain = lambda message: json_format.MessageToDict(message, preserving_proto_field_name=True)
    return map(plain, answer) if answers_stream else plain(answer)


def expect(what, actual, wanted):
    assert actual == wanted, f"{what}: wanted {wanted}, got {actual}"
    print(f"python: {what}")


started = call("StartTask", {"kind": "echo", "params": {"count": 5, "delay_ms": 10}})["task"]
task_id = started["task_id"]
frames = list(call("StreamEvents", {"task_id": task_id}))
events = [event for frame in frames for event in frame.get("events", [])]
expect("every event once, in order", [int(event["seq"]) for event in events], list(range(1, 9)))
expect("the last is final", events[-1]["final"]["result"], {"echoed": 5.0})

tail = [event for frame in call("StreamEvents", {"task_id": task_id, "from_seq": 6}) for event in frame.get("events", [])]
expect("resumed from a seq", tail, events[5:])

result = call("GetResult", {"task_id": task_id})
expect("the result", (result["status"], result["result"]), ("TASK_STATUS_SUCCEEDED", {"echoed": 5.0}))

run = [event for frame in call("RunTask", {"start": {"kind": "echo", "params": {"count": 2}}}) for event in frame.get("events", [])]
expect("started and followed in one call", [int(event["seq"]) for event in run], list(range(1, 6)))

slow = call("StartTask", {"kind": "echo", "params": {"count": 1000, "delay_ms": 1000}})["task"]
cancelled = call("CancelTask", {"task_id": slow["task_id"], "reason": "from python"})
expect("a running task is asked to end", cancelled["outcome"], "CANCEL_OUTCOME_REQUESTED")
result = call("GetResult", {"task_id": slow["task_id"], "wait": "10s"})
expect("it ends as cancelled", (result["status"], result["error"]["message"]), ("TASK_STATUS_CANCELLED", "from python"))

try:
    call("GetTask", {"task_id": "nonsense"})
    raise AssertionError("a malformed task_id was taken")
except grpc.RpcError as error:
    expect("a malformed task_id is refused", error.code(), grpc.StatusCode.INVALID_ARGUMENT)
    assert "grpc-status-details-bin" in dict(error.trailing_metadata()), "the error has no details"
