"""What the code of a kind has to do with: how it is registered, the Task that it is given, and how it fails."""

import logging
import threading
from collections import deque

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from spool.v1 import event_pb2, task_pb2
from spool.v1 import worker_service_pb2 as pb

REQUEST_BYTES_MAX = 4 * 2**20 - 2**10  # gRPC carries no more, and a message over it would end the stream of all tasks.
EVENT_BYTES_MAX, MESSAGE_CHARS_MAX = 256 * 2**10, 16 * 2**10
KINDS = {}


def kind(name, **offer):
    """Has the function below run the tasks of a kind: it is given a Task, and returns the result, a dict."""
    return lambda code: KINDS.setdefault(name, (pb.KindOffer(name=name, **offer), code))[1]


class TaskFailed(Exception):
    """Raised by code that fails with a reason of its own."""

    def __init__(self, reason, message, retryable=True):
        super().__init__(message)
        text = message.encode(errors="replace").decode()[:MESSAGE_CHARS_MAX]
        self.end = {"error": task_pb2.TaskError(reason=reason, message=text), "no_retry": not retryable}


class TaskStopped(TaskFailed):
    """Raised by code that ends because it was told to, and to code that goes on when its attempt is over."""

    def __init__(self):
        super().__init__("STOPPED", "the code was told to stop")


class Task:
    """An attempt, as its code sees it. What it emits is kept until the server has said that it is stored."""

    def __init__(self, worker, assign):
        self.ref = {"task_id": assign.task_id, "attempt": assign.attempt}
        self.kind, self.attempt, self.params = assign.kind, assign.attempt, MessageToDict(assign.params)
        self.checkpoint = MessageToDict(assign.checkpoint) if assign.HasField("checkpoint") else None
        self.stopped = threading.Event()  # Set when the code is to end.
        self._worker, self._changed = worker, worker.changed
        self._number, self._kept, self.kept_bytes = assign.appended, deque(), 0  # _kept: (number, request), in order.
        self.has_ended = self.is_handed_on = self._is_refused = False

    def progress(self, phase, current=0, total=0, **detail):
        detail = struct(detail) if detail else None
        self._emit(progress=event_pb2.Progress(phase=phase, current=current, total=total, detail=detail))

    def log(self, message, level="INFO"):
        self._emit(log=event_pb2.Log(level=f"LOG_LEVEL_{level}", message=message))

    def partial(self, kind, **payload):
        self._emit(partial=event_pb2.Partial(kind=kind, payload=struct(payload)))

    def _emit(self, **body):
        event = pb.NewEvent(**body)
        with self._changed:  # The code waits while the window of the server is full.
            self._changed.wait_for(lambda: self.has_ended or self._worker.has_room(len(self._kept), self.kept_bytes))
            if self.has_ended:
                raise TaskStopped
            self._say(append=pb.Append(**self.ref, first_number=self._number + 1, events=[event]))

    def _say(self, **message):
        request = pb.WorkRequest(**message)
        if request.ByteSize() > REQUEST_BYTES_MAX:
            raise ValueError("it is too large to be sent")
        self._number += 1
        self._kept.append((self._number, request))
        self.kept_bytes += request.ByteSize()
        self._worker.say(request)

    # What the worker calls, with its lock held but for run.

    def run(self):
        try:
            self.finish(result=struct(KINDS[self.kind][1](self) or {}))
        except TaskFailed as failure:
            self.finish(**failure.end)
        except BaseException as error:  # Even a sys.exit() ends the attempt, and nothing else.
            logging.exception("%s of %s", self.kind, self.ref)
            self.finish(**TaskFailed("KIND_FAILED", f"{type(error).__name__}: {error}").end)

    def finish(self, **end):
        """Ends the attempt, unless it has ended."""
        with self._changed:
            if self.has_ended:
                return
            if self.is_handed_on and "error" in end:
                end = {"released": pb.Released()}
            self._say(finish=pb.Finish(**self.ref, number=self._number + 1, **end))
            self.has_ended = True
            self._changed.notify_all()

    def acknowledge(self, through):
        """So many of its events are stored."""
        while self._kept and self._kept[0][0] <= through:
            self.kept_bytes -= self._kept.popleft()[1].ByteSize()

    def resend(self, appended):
        """A new stream is there, and so many events are known to be stored: it is to carry the rest."""
        self.acknowledge(appended)
        for _, request in self._kept:
            self._worker.say(request)

    def refuse(self, message, appended):
        """What comes after so many events will never be taken: the attempt fails."""
        if self._is_refused:
            return  # What was sent after it comes back as well.
        while self._kept and self._kept[-1][0] > appended:
            self.kept_bytes -= self._kept.pop()[1].ByteSize()
        self._number, self.has_ended, self._is_refused = appended, False, True
        self.finish(**TaskFailed("KIND_FAILED", f"the server refused it: {message}").end)
        self.stopped.set()

    def drop(self):
        """It is over: its end is stored, or it is somebody else's."""
        self.has_ended = True
        self._kept.clear()
        self.stopped.set()


def struct(values):
    return ParseDict(values, Struct())
