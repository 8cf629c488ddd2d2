"""A gRPC server that answers as a test scripts it, with wrong answers and failures too."""

import queue
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import grpc

from spooltape import _messages as pb

Answer = Callable[[Any, Any], Any]
"""Takes the request (of a worker: all its requests) and the context, and returns or yields the answers."""

_SERVICES: Dict[str, str] = {"ListSessions": "WorkerService", "Work": "WorkerService"}
_STREAMS = ("StreamEvents", "RunTask", "FollowTasks")


class ScriptedServer:
    """Serves the script, and keeps the requests of each method with the connection that each came by."""

    def __init__(self, **script: Answer) -> None:
        self._script = script
        self.calls: List[Tuple[str, Any, str]] = []
        self.requests: "queue.Queue[pb.WorkRequest]" = queue.Queue()
        """What a worker has sent, over all its streams, without heartbeats."""
        self._server = grpc.server(ThreadPoolExecutor(32))
        self._server.add_generic_rpc_handlers([_Handlers(self)])
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def __enter__(self) -> "ScriptedServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def requests_of(self, method: str) -> List[Any]:
        return [request for name, request, _ in self.calls if name == method]

    def peers_of(self, method: str) -> List[str]:
        return [peer for name, _, peer in self.calls if name == method]

    def handler(self, method: str) -> Any:
        answer = self._script.get(method)
        return None if answer is None else self._handler(method, answer)

    def _handler(self, method: str, answer: Answer) -> Any:
        if method == "Work":
            return grpc.stream_stream_rpc_method_handler(
                lambda requests, context: answer(self._heard(requests), context),
                pb.WorkRequest.FromString,
                pb.WorkResponse.SerializeToString,
            )

        def count(request: Any, context: Any) -> Any:
            self.calls.append((method, request, context.peer()))
            return answer(request, context)

        request_type, answer_type = getattr(pb, f"{method}Request"), getattr(pb, f"{method}Response")
        make = grpc.unary_stream_rpc_method_handler if method in _STREAMS else grpc.unary_unary_rpc_method_handler
        return make(count, request_type.FromString, answer_type.SerializeToString)

    def _heard(self, requests: Iterator[pb.WorkRequest]) -> Iterator[pb.WorkRequest]:
        for request in requests:
            if request.WhichOneof("message") != "heartbeat":
                self.requests.put(request)
                yield request


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def service(self, details: Any) -> Any:
        _, service, method = details.method.split("/")
        assert service == f"spool.v1.{_SERVICES.get(method, 'TaskService')}", details.method
        return self._server.handler(method)


def fail(
    context: Any,
    code: str,
    reason: str,
    *,
    retry_after: Optional[float] = None,
    metadata: Optional[Dict[str, str]] = None,
    violations: Sequence[Tuple[str, str]] = (),
) -> Any:
    """Ends a call as the server does: with a code, and the details of google.rpc.Status."""
    status = pb.Status(code=getattr(grpc.StatusCode, code).value[0], message=f"{reason} of a script")
    details: List[Any] = [pb.ErrorInfo(domain="spool", reason=reason, metadata=metadata or {})]
    if retry_after is not None:
        nanos = int(retry_after * 1e9)
        details.append(pb.RetryInfo(retry_delay=pb.Duration(seconds=nanos // 10**9, nanos=nanos % 10**9)))
    if violations:
        rejected = pb.BadRequest()
        for field, text in violations:
            violation = rejected.field_violations.add()
            violation.field, violation.description = field, text
        details.append(rejected)
    for detail in details:
        item = status.details.add()
        item.type_url = f"type.googleapis.com/google.rpc.{type(detail).__name__}"
        item.value = detail.SerializeToString()
    context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
    context.abort(getattr(grpc.StatusCode, code), f"{reason} of a script")


def task(task_id: str = "t") -> pb.Task:
    second = pb.Duration(seconds=1)
    policy = pb.RetryPolicy(initial_backoff=second, max_backoff=second, backoff_multiplier=2, jitter=0.2)
    return pb.Task(
        task_id=task_id,
        kind="k",
        status=pb.TASK_STATUS_RUNNING,
        created_at=pb.Timestamp(seconds=1),
        max_attempts=1,
        retry_policy=policy,
    )


def events(first: int, last: int, final: Optional[int] = None) -> List[pb.Event]:
    """Returns events from one seq to another, of which one may be the final."""
    time = pb.Timestamp(seconds=1_700_000_000, nanos=123_000_000)
    return [
        pb.Event(seq=seq, time=time, final=pb.Final(status=pb.TASK_STATUS_SUCCEEDED, result=pb.Struct()))
        if seq == final
        else pb.Event(seq=seq, time=time, progress=pb.Progress(phase="p", current=seq))
        for seq in range(first, last + 1)
    ]


def frame(first: int, last: int, final: Optional[int] = None, last_seq: Optional[int] = None) -> pb.StreamEventsResponse:
    return pb.StreamEventsResponse(
        events=events(first, last, final),
        next_from_seq=last + 1,
        last_seq=last if last_seq is None else last_seq,
        status=pb.TASK_STATUS_RUNNING if final is None else pb.TASK_STATUS_SUCCEEDED,
    )
