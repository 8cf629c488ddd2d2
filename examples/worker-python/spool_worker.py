"""Runs tasks for a server of Spool, side by side. docs/workers.md has the protocol; worker.py the kinds of task."""

import asyncio
import contextlib
import logging
import os
import random
import time

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from spool.v1 import event_pb2, task_pb2
from spool.v1 import worker_service_pb2 as pb
from spool.v1.worker_service_pb2_grpc import WorkerServiceStub


class TaskFailed(Exception):
    def __init__(self, reason, message="", retryable=True):
        super().__init__(message)
        self.end = {"error": task_pb2.TaskError(reason=reason, message=message[:16_000]), "no_retry": not retryable}


class Task:
    """An attempt, as its code sees it. What it sends is kept until it is stored: the first kept has number stored + 1."""

    def __init__(self, worker, assign):
        self.worker, self.ref = worker, {"task_id": assign.task_id, "attempt": assign.attempt}
        self.params, self.attempt = MessageToDict(assign.params), assign.attempt
        self.checkpoint = MessageToDict(assign.checkpoint) if assign.HasField("checkpoint") else None
        self.stored, self.kept, self.room = 0, [], asyncio.Event()
        self.is_stopped = self.is_over = False
        self.running = asyncio.create_task(self.run(worker.kinds[assign.kind]))

    async def progress(self, phase, current=0, total=0, **detail):
        detail = ParseDict(detail, Struct()) if detail else None
        await self.emit(progress=event_pb2.Progress(phase=phase, current=current, total=total, detail=detail))

    async def log(self, level, message):
        """level: debug, info, warn or error, in either case. On the wire it is an enum, event.proto's LogLevel."""
        await self.emit(log=event_pb2.Log(level=f"LOG_LEVEL_{level.upper()}", message=message))

    async def partial(self, kind, **payload):
        await self.emit(partial=event_pb2.Partial(kind=kind, payload=ParseDict(payload, Struct())))

    async def emit(self, **body):
        while len(self.kept) >= self.worker.window and not self.is_over:  # Until the server has stored some.
            self.room.clear()
            await self.room.wait()
        self.send("append", pb.Append(first_number=self.stored + len(self.kept) + 1, events=[pb.NewEvent(**body)]))

    def send(self, name, message):
        message.MergeFrom(type(message)(**self.ref))
        self.kept.append(pb.WorkRequest(**{name: message}))
        self.worker.say(self.kept[-1])

    async def run(self, code):
        try:
            end = {"result": ParseDict(await code(self) or {}, Struct())}
        except asyncio.CancelledError:  # Without a Stop it is this process that ends: the task is given back.
            end = TaskFailed("STOPPED").end if self.is_stopped else {"released": pb.Released()}
        except Exception as error:
            end = (error if isinstance(error, TaskFailed) else TaskFailed("KIND_FAILED", repr(error))).end
        if not self.is_over:
            self.send("finish", pb.Finish(number=self.stored + len(self.kept) + 1, **end))

    def on_appended(self, message):
        while self.kept and self.stored < message.through:
            self.stored += 1
            del self.kept[0]
        self.room.set()

    def on_stop(self, _):
        self.is_stopped = True
        self.running.cancel()

    def on_refused(self, message):  # What came after so many events is never taken: the attempt fails.
        del self.kept[max(0, message.appended - self.stored) :]
        self.send("finish", pb.Finish(number=message.appended + 1, **TaskFailed("KIND_FAILED", message.message).end))
        self.on_lease_lost(message)

    def on_lease_lost(self, _):
        self.is_over = True
        self.running.cancel()
        self.worker.tasks.pop(self.ref["task_id"])

    on_finished = on_lease_lost


class Worker:
    """Runs tasks for a server, and comes back to it with those that it has when the connection is lost."""

    def __init__(self, address, kinds, offers, capacity=4, drain_s=10):
        self.address, self.kinds, self.drain_s, self.outbox, self.tasks = address, kinds, drain_s, None, {}
        self.hello, self.window, self.heartbeat_s = pb.Hello(kinds=offers, capacity=capacity, pid=os.getpid()), 1, 5
        self.is_drained = self.has_left = False

    def say(self, request):
        if self.outbox is not None:  # Else the next stream carries what is kept.
            self.outbox.put_nowait(request)

    async def run(self):
        while not self.has_left:
            try:
                await self.connect()
            except (grpc.RpcError, asyncio.CancelledError) as error:
                logging.warning("disconnected: %r", error)
                await asyncio.sleep(random.uniform(0.1, 1))

    async def connect(self):
        outbox, self.outbox, self.heard_at = asyncio.Queue(), None, time.monotonic()
        del self.hello.running[:]
        self.hello.running.extend(pb.HeldAttempt(**task.ref) for task in self.tasks.values())
        outbox.put_nowait(pb.WorkRequest(hello=self.hello))
        # A connection of its own: one that is open but dead would carry the next stream as well.
        async with grpc.aio.insecure_channel(self.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            call = WorkerServiceStub(channel).Work()
            speaking = [asyncio.create_task(self.send(call, outbox)), asyncio.create_task(self.beat(call))]
            try:
                async for response in call:
                    self.heard_at, name = time.monotonic(), response.WhichOneof("message")
                    self.take(name, getattr(response, name or "heartbeat"), outbox)
            finally:
                for task in speaking:
                    task.cancel()

    async def send(self, call, outbox):
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):  # Who reads the call is told.
            while True:
                await call.write(await outbox.get())

    async def beat(self, call):
        spoken_at = 0
        while time.monotonic() - self.heard_at < 3 * self.heartbeat_s and not call.done():
            if self.outbox is not None and time.monotonic() - spoken_at > self.heartbeat_s:
                self.say(pb.WorkRequest(heartbeat=pb.Heartbeat()))
                spoken_at = time.monotonic()
            await asyncio.sleep(0.05)
        call.cancel()

    def take(self, name, message, outbox):
        task = self.tasks.get(getattr(message, "task_id", None))
        if name == "welcome":
            self.welcome(message, outbox)
        elif name == "assign":
            self.tasks[message.task_id] = Task(self, message)
        elif name == "drained":
            self.is_drained = True
        elif task and task.ref["attempt"] == message.attempt:
            getattr(task, f"on_{name}")(message)

    def welcome(self, welcome, outbox):
        logging.info("connected: session %s, %s", welcome.session_id, "resumed" if welcome.resumed else "new")
        self.hello.resume_token, self.window, self.outbox = welcome.resume_token, welcome.window_events, outbox
        self.heartbeat_s = welcome.heartbeat_interval.ToNanoseconds() / 1e9
        held = {(task.task_id, task.attempt): pb.Appended(through=task.appended) for task in welcome.held}
        for task in list(self.tasks.values()):
            task.on_appended(held.get((task.ref["task_id"], task.attempt), pb.Appended()))
            for request in task.kept:  # Of one that is not held any more, the server says so in answer to these.
                self.say(request)

    def stop(self):
        """Takes no more tasks, lets those that run end for drain_s, gives back the rest, and leaves."""
        if not self.hello.draining:
            self.hello.draining, self.stopping = True, asyncio.create_task(self.drain())

    async def drain(self):
        self.say(pb.WorkRequest(drain=pb.Drain()))
        await self.idle(self.drain_s)
        for task in self.tasks.values():
            task.running.cancel()
        await self.idle(5)
        self.has_left = True
        self.say(pb.WorkRequest(leave=pb.Leave()))

    async def idle(self, seconds):
        until = time.monotonic() + seconds
        while (self.tasks or not self.is_drained) and time.monotonic() < until:
            await asyncio.sleep(0.02)
