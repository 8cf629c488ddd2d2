"""The calls of the blocking client, one attempt each."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Dict, Generator, Optional, Tuple, Type, TypeVar

import grpc

from . import _messages as pb
from ._connection import ANSWER_S_MAX, CHANNEL_OPTIONS, Endpoint, closed, read_rpc_error, silent
from ._decode import decode
from ._errors import SpoolError

_M = TypeVar("_M", bound=pb.Message)
_WATCH_S = 0.5
"""How often streams are checked for silence."""


class _Channel:
    """A gRPC channel, and how many calls are open on it."""

    def __init__(self, endpoint: Endpoint) -> None:
        if endpoint.credentials is None:
            self.grpc = grpc.insecure_channel(endpoint.target, CHANNEL_OPTIONS)
        else:
            self.grpc = grpc.secure_channel(endpoint.target, endpoint.credentials, CHANNEL_OPTIONS)
        self.calls = 0


class Transport:
    """Calls over one channel at a time. Safe for use by several threads."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._channel = _Channel(endpoint)
        self._abandoned: Dict[_Channel, None] = {}
        self._watch = _Watch()
        self._is_closed = False

    def unary(self, path: str, request: pb.Message, answer: Type[_M], timeout: float = ANSWER_S_MAX) -> _M:
        """One attempt. Fails as UNAVAILABLE if no answer comes within ``timeout`` seconds."""
        channel = self._enter()
        try:
            call = channel.grpc.unary_unary(path)
            data = call(request.SerializeToString(), timeout=timeout, metadata=self._endpoint.metadata)
        except grpc.RpcError as error:
            raise self._failed(channel, error, timeout) from error
        except ValueError as error:  # The channel was closed meanwhile.
            raise closed() from error
        finally:
            self._exit(channel)
        return decode(answer, data)

    def stream(self, path: str, request: pb.Message, answer: Type[_M], silence: float) -> Generator[_M, None, None]:
        """One attempt. Fails as UNAVAILABLE if the reader waits and no message comes within ``silence`` seconds."""
        channel = self._enter()
        call: Optional[Any] = None
        watched: Optional[_Watched] = None
        try:
            call = channel.grpc.unary_stream(path)(request.SerializeToString(), metadata=self._endpoint.metadata)
            watched = self._watch.add(call.cancel, silence)
            while True:
                with watched:
                    data = next(call, None)
                if data is None:
                    return
                yield decode(answer, data)
        except grpc.RpcError as error:
            if watched is not None and watched.is_silent:
                self._leave(channel)
                raise silent(self._endpoint.target, silence) from error
            raise self._failed(channel, error, None) from error
        except ValueError as error:
            raise closed() from error
        finally:
            if watched is not None:
                self._watch.remove(watched)
            if call is not None:
                call.cancel()
            self._exit(channel)

    def close(self) -> None:
        """Ends all open calls with an error, and rejects later ones."""
        with self._lock:
            self._is_closed = True
            channels = [self._channel, *self._abandoned]
        for channel in channels:
            channel.grpc.close()

    def _enter(self) -> _Channel:
        with self._lock:
            if self._is_closed:
                raise closed()
            self._channel.calls += 1
            return self._channel

    def _exit(self, channel: _Channel) -> None:
        with self._lock:
            channel.calls -= 1
            is_done = channel.calls == 0 and self._abandoned.pop(channel, channel) is None
        if is_done:
            channel.grpc.close()

    def _leave(self, channel: _Channel) -> None:
        """Makes the next call open a new connection. The old channel closes after its last call."""
        with self._lock:
            if self._channel is channel and not self._is_closed:
                self._abandoned[channel] = None
                self._channel = _Channel(self._endpoint)

    def _failed(self, channel: _Channel, error: Any, timeout: Optional[float]) -> SpoolError:
        if self._is_closed:
            return closed()
        if timeout is not None and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            # The connection may be dead without a reset, and the channel would use it again.
            self._leave(channel)
            return silent(self._endpoint.target, timeout)
        failure = read_rpc_error(error.code(), error.details(), error.trailing_metadata(), self._endpoint.target)
        if failure.reason == "DRAINING":
            self._leave(channel)  # The server rejects calls until it exits. A load balancer may have other servers.
        return failure


class _Watched:
    """A stream, which is silent if its reader waits for too long. A slow reader does not make a server silent."""

    def __init__(self, cancel: Callable[[], object], silence: float) -> None:
        self.cancel = cancel
        self.silence = silence
        self.waits_since: Optional[float] = None
        self.is_silent = False

    def __enter__(self) -> None:
        self.waits_since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.waits_since = None


class _Watch:
    """Cancels silent streams. Its thread runs only while there are streams."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._streams: Tuple[_Watched, ...] = ()
        self._thread: Optional[threading.Thread] = None

    def add(self, cancel: Callable[[], object], silence: float) -> _Watched:
        watched = _Watched(cancel, silence)
        with self._condition:
            self._streams += (watched,)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="spooltape-watch", daemon=True)
                self._thread.start()
        return watched

    def remove(self, watched: _Watched) -> None:
        with self._condition:
            self._streams = tuple(stream for stream in self._streams if stream is not watched)
            self._condition.notify()

    def _run(self) -> None:
        with self._condition:
            while self._streams:
                now = time.monotonic()
                for stream in self._streams:
                    since = stream.waits_since
                    if since is not None and now - since > stream.silence:
                        stream.is_silent = True
                        stream.cancel()
                self._condition.wait(_WATCH_S)
            self._thread = None
