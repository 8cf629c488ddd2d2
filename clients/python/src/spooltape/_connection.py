"""How the server is reached: address, token, namespace, channel options, and the errors of gRPC."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Dict, Optional, Sequence, Tuple

import grpc

from . import _messages as pb
from ._errors import CODES, SpoolError, Violation

ADDRESS_DEFAULT = "127.0.0.1:50051"
PORT_DEFAULT = 50051
HEARTBEAT_S_DEFAULT = 15.0
RETRY_S_DEFAULT = 60.0
ANSWER_S_MAX = 20.0
"""How long one attempt at a call may take, in addition to the wait that the caller asked for."""
SILENT_HEARTBEATS = 2.5
"""After so many heartbeat intervals without a frame, the connection counts as lost. Servers send one per interval."""

CHANNEL_OPTIONS: Sequence[Tuple[str, int]] = (
    # By default, the library waits up to two minutes before it tries to reconnect.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # A pool of its own, so that a new channel opens a new connection.
    ("grpc.use_local_subchannel_pool", 1),
    # Frames of a server stay below 4 MiB.
    ("grpc.max_receive_message_length", 8 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),
)

Metadata = Sequence[Tuple[str, str]]


@dataclass(frozen=True)
class Endpoint:
    """Where to connect, and as whom."""

    target: str
    credentials: Optional[Any]
    """None: without TLS."""
    metadata: Metadata


def read_endpoint(
    address: Optional[str], token: Optional[str], namespace: Optional[str], credentials: Optional[Any]
) -> Endpoint:
    """Reads the address, the token and the namespace. What is None comes from SPOOL_ADDRESS, SPOOL_TOKEN and
    SPOOL_CALL_NAMESPACE.

    Raises ValueError for a malformed address, token or namespace.
    """
    if address is None:
        address = os.environ.get("SPOOL_ADDRESS") or ADDRESS_DEFAULT
    if token is None:
        token = os.environ.get("SPOOL_TOKEN") or None
    if token is not None and re.fullmatch(r"[\x21-\x7e]+", token) is None:
        raise ValueError("token: must be printable ASCII")
    if namespace is None:
        namespace = os.environ.get("SPOOL_CALL_NAMESPACE") or None
    if namespace is not None and re.fullmatch(r"[A-Za-z0-9._-]{1,63}", namespace) is None:
        raise ValueError("namespace: must be 1 to 63 characters of [A-Za-z0-9._-]")
    match = re.fullmatch(r"(https?://)?(.+?)/?", address.strip())
    if match is None:
        raise ValueError("address: must be host:port")
    scheme, rest = match.groups()
    without_port = re.fullmatch(r"[^:\[\]/]+|\[[^\]]+\]", rest) is not None
    if credentials is None and scheme == "https://":
        credentials = grpc.ssl_channel_credentials()
    metadata = [] if token is None else [("authorization", f"Bearer {token}")]
    if namespace is not None:
        metadata.append(("spool-namespace", namespace))
    return Endpoint(f"{rest}:{PORT_DEFAULT}" if without_port else rest, credentials, metadata)


def silent(target: str, seconds: float) -> SpoolError:
    return SpoolError("UNAVAILABLE", f"nothing came from {target} for {seconds:g} s")


def closed() -> SpoolError:
    return SpoolError("CANCELLED", "the client is closed")


RESET_CODES = {"INTERNAL", "CANCELLED"}
"""The codes of a stream that a proxy or a crashed server reset. Every answer of Spool has details besides."""


def read_rpc_error(code: Any, text: Optional[str], trailers: Optional[Any], target: str) -> SpoolError:
    """Converts an error of gRPC: its code, and the details of google.rpc.Status in the trailers."""
    number: int = code.value[0]
    name = CODES[number] if number < len(CODES) else "UNKNOWN"
    packed = next((value for key, value in trailers or () if key == "grpc-status-details-bin"), None)
    text = text or f"the call failed with {name}"
    if packed is None:
        if name in RESET_CODES or text == "Stream removed":  # The text of gRPC for a connection that was cut.
            name = "UNAVAILABLE"
        if name == "UNAVAILABLE":
            text = _describe(text, target)
    return SpoolError(name, text, **_details(packed))


def _describe(text: str, target: str) -> str:
    """Returns why the server was not reached, and what to do about it where the cause is likely."""
    if "Connection refused" in text:
        return f"nothing listens at {target}"
    if re.search("DNS resolution failed|Domain name not found", text):
        return f"the host name in {target} cannot be resolved: check its spelling"
    if "WRONG_VERSION_NUMBER" in text:
        return f"{target} does not speak TLS: remove https:// from the address"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return (
            f"the certificate at {target} is not trusted: pass credentials, or set GRPC_DEFAULT_SSL_ROOTS_FILE_PATH "
            "to the certificate of its authority"
        )
    return f"no connection to {target}: {text}"


def _details(packed: Optional[bytes]) -> Dict[str, Any]:
    details: Dict[str, Any] = {}
    try:
        status = pb.Status.FromString(packed or b"")
        for item in status.details:
            name = item.type_url.rpartition("/")[2]
            if name == "google.rpc.ErrorInfo":
                info = pb.ErrorInfo.FromString(item.value)
                if info.domain == "spool":
                    details.update(reason=info.reason, metadata=dict(info.metadata))
            elif name == "google.rpc.BadRequest":
                request = pb.BadRequest.FromString(item.value)
                details["violations"] = [Violation(v.field, v.description) for v in request.field_violations]
            elif name == "google.rpc.RetryInfo":
                retry = pb.RetryInfo.FromString(item.value)
                if retry.HasField("retry_delay"):
                    delay = retry.retry_delay
                    details["retry_after"] = max(0.0, delay.seconds + delay.nanos / 1e9)
    except Exception:  # Malformed details must not hide the error.
        return {}
    return details
