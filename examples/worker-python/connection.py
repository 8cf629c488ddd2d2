"""How a worker speaks with a server, and comes back to it: proto/spool/v1/worker_service.proto."""

import logging
import os
import random
import socket
import threading
import time
from queue import SimpleQueue

import grpc
from spool.v1 import worker_service_pb2 as pb
from spool.v1.worker_service_pb2_grpc import WorkerServiceStub
from task import EVENT_BYTES_MAX, KINDS, Task

SILENT_HEARTBEATS, BACKOFF_S, BACKOFF_MAX_S = 3, 0.1, 5
GRACE_S, LEAVE_S = 5, 5
FINAL_CODES = {"INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"}


class Worker:
    """Runs tasks for a server, and comes back to it with those that it has when the connection is lost."""

    def __init__(self, address, *, token, capacity, drain_s):
        self.address, self.capacity, self.drain_s = address, capacity, drain_s
        self.metadata = [("authorization", f"Bearer {token}")] if token else None
        self.changed = threading.Condition()  # The lock of everything here and of the tasks.
        self.tasks, self.resume_token = {}, ""
        self.outbox = None  # Of the stream of now, once it is welcomed.
        self.heartbeat_s, self.heard_at, self.failures = 5, 0, 0
        self.is_draining = self.is_leaving = False

    def say(self, request):
        if self.outbox is not None:
            self.outbox.put(request)

    def has_room(self, events, size):
        return events < self.window.window_events and size <= self.window.window_bytes - EVENT_BYTES_MAX

    def run(self):
        """Comes back until it has left. Raises grpc.RpcError where another try would meet the same."""
        while not self.is_leaving:
            try:
                self.connect()
            except grpc.RpcError as error:
                if error.code().name in FINAL_CODES:
                    raise
                logging.warning("disconnected: %s %s", error.code().name, error.details())
            backoff_s = min(BACKOFF_MAX_S, BACKOFF_S * 2**self.failures) * random.uniform(0.5, 1)
            self.failures = min(self.failures + 1, 10)
            with self.changed:
                self.changed.wait_for(lambda: self.is_leaving, backoff_s)

    def connect(self):
        """One stream, to its end."""
        outbox, over, self.heard_at = SimpleQueue(), threading.Event(), time.monotonic()
        offers = [offer for offer, _ in KINDS.values()]
        hello = pb.Hello(kinds=offers, capacity=self.capacity, host=socket.gethostname(), pid=os.getpid())
        hello.resume_token = self.resume_token
        with self.changed:
            hello.running.extend(pb.HeldAttempt(**task.ref) for task in self.tasks.values())
            hello.draining = self.is_draining
        outbox.put(pb.WorkRequest(hello=hello))
        # A connection of its own: one that is open but dead would carry the next stream as well.
        with grpc.insecure_channel(self.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            call = WorkerServiceStub(channel).Work(iter(outbox.get, None), metadata=self.metadata)
            threading.Thread(target=self.beat, args=(call, outbox, over), daemon=True).start()
            try:
                for response in call:
                    with self.changed:
                        self.take(response, outbox)
                        self.changed.notify_all()
            finally:
                with self.changed:
                    self.outbox = None
                outbox.put(None)
                over.set()

    def beat(self, call, outbox, over):
        """Shows that this side lives, and gives a server up that does not."""
        while not over.wait(self.heartbeat_s):
            if time.monotonic() - self.heard_at > SILENT_HEARTBEATS * self.heartbeat_s:
                call.cancel()
            outbox.put(pb.WorkRequest(heartbeat=pb.Heartbeat()))

    def take(self, response, outbox):
        self.heard_at = time.monotonic()
        name = response.WhichOneof("message") or "heartbeat"  # A later server may say what is not known here.
        message = getattr(response, name)
        task = self.tasks.get(getattr(message, "task_id", None))
        if task and task.attempt != getattr(message, "attempt", None):
            task = None  # Of an attempt that is over here.
        match name:
            case "welcome":
                self.on_welcome(message, outbox)
            case "assign":
                self.assign(message)
            case "appended" if task:
                task.acknowledge(message.through)
            case "stop" if task:
                task.stopped.set()
            case "refused" if task:
                task.refuse(message.message, message.appended)
            case "finished" | "lease_lost" if task:
                self.drop(task)

    def on_welcome(self, welcome, outbox):
        logging.info("connected: session %s, %s", welcome.session_id, "resumed" if welcome.resumed else "new")
        self.resume_token, self.window, self.outbox, self.failures = welcome.resume_token, welcome, outbox, 0
        self.heartbeat_s = welcome.heartbeat_interval.ToNanoseconds() / 1e9
        held = {(task.task_id, task.attempt): task.appended for task in welcome.held}
        for task in list(self.tasks.values()):
            appended = held.get((task.ref["task_id"], task.attempt))
            if appended is None and not task.has_ended:
                self.drop(task)
            else:
                task.resend(appended or 0)  # Of one that is not held, the server tells whether its end is stored.
        if self.is_draining:
            self.say(pb.WorkRequest(drain=pb.Drain()))

    def assign(self, assign):
        task = self.tasks.get(assign.task_id)
        if task and task.attempt == assign.attempt:
            return task.resend(assign.appended)
        if task:
            self.drop(task)
        self.tasks[assign.task_id] = task = Task(self, assign)
        threading.Thread(target=task.run, daemon=True).start()  # A daemon: code that does not stop holds nothing up.

    def drop(self, task):
        del self.tasks[task.ref["task_id"]]
        task.drop()

    def stop(self):
        """Takes no more tasks, lets those that it has end, gives back what does not, and leaves."""
        with self.changed:
            self.is_draining = True
            self.say(pb.WorkRequest(drain=pb.Drain()))
            self.changed.wait_for(lambda: not self.tasks, self.drain_s)
            for task in self.tasks.values():
                task.is_handed_on = True
                task.stopped.set()
            self.changed.wait_for(lambda: not self.tasks, GRACE_S)
            for task in self.tasks.values():
                task.finish(released=pb.Released())
            self.changed.wait_for(lambda: not self.tasks, LEAVE_S)
            self.is_leaving = True
            self.say(None)  # Closes this side.
            self.changed.notify_all()
