"""Makes the requests of callers. Rejects only what the encoding cannot carry; the server checks all other bounds."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Callable, Literal, Mapping, Optional, Sequence

from . import _messages as pb
from ._decode import STATUSES, VIEWS
from ._errors import SpoolError, broken, invalid
from ._event_types import EventView
from ._json import MIB, JsonObject, check_text, to_struct
from ._times import Seconds, to_duration, to_timestamp
from ._types import RetryPolicy, TaskStatus, TaskTokenScope

PARAMS_BYTES_MAX = 3 * MIB
PARAMS_VALUES_MAX = 20_000
View = Literal["events", "tasks"]


def start_request(
    kind: str,
    params: Optional[JsonObject],
    *,
    request_id: Optional[str],
    labels: Optional[Mapping[str, str]],
    timeout: Optional[Seconds],
    max_attempts: Optional[int],
    retry_policy: Optional[RetryPolicy],
    run_at: Optional[datetime],
    deadline_at: Optional[datetime],
    retention: Optional[Seconds],
) -> pb.StartTaskRequest:
    request = pb.StartTaskRequest(
        kind=check_text("kind", kind),
        params=to_struct(params or {}, "params", bytes_max=PARAMS_BYTES_MAX, values_max=PARAMS_VALUES_MAX),
        # Without an id, a repeated start would start a second task.
        request_id=check_text("request_id", request_id or str(uuid.uuid4())),
        labels=_labels(labels),
        max_attempts=int32("max_attempts", max_attempts or 0),
    )
    if timeout is not None:
        request.timeout.CopyFrom(to_duration("timeout", timeout))
    if retry_policy is not None:
        request.retry_policy.CopyFrom(policy_message(retry_policy))
    if run_at is not None:
        request.run_at.CopyFrom(to_timestamp("run_at", run_at))
    if deadline_at is not None:
        request.deadline_at.CopyFrom(to_timestamp("deadline_at", deadline_at))
    if retention is not None:
        request.retention.CopyFrom(to_duration("retention", retention))
    return request


def policy_message(policy: RetryPolicy) -> pb.RetryPolicy:
    """Converts the given parts. The server fills in the others."""
    message = pb.RetryPolicy()
    if policy.initial_backoff is not None:
        message.initial_backoff.CopyFrom(to_duration("retry_policy.initial_backoff", policy.initial_backoff))
    if policy.max_backoff is not None:
        message.max_backoff.CopyFrom(to_duration("retry_policy.max_backoff", policy.max_backoff))
    if policy.backoff_multiplier is not None:
        if policy.backoff_multiplier == 0:  # In protobuf, 0 means unset.
            raise invalid("retry_policy.backoff_multiplier", "must not be 0")
        message.backoff_multiplier = policy.backoff_multiplier
    if policy.jitter is not None:
        message.jitter = policy.jitter
    return message


def list_request(
    page_token: str,
    *,
    statuses: Sequence[TaskStatus],
    kinds: Sequence[str],
    labels: Optional[Mapping[str, str]],
    task_id_prefix: str,
    page_size: Optional[int],
) -> pb.ListTasksRequest:
    for status in statuses:
        if status not in STATUSES:
            raise invalid("statuses", f"must be of {', '.join(STATUSES)}, not {status!r}")
    return pb.ListTasksRequest(
        statuses=[STATUSES[status] for status in statuses],
        kinds=_kinds(kinds),
        labels=_labels(labels),
        task_id_prefix=check_text("task_id_prefix", task_id_prefix),
        page_size=int32("page_size", page_size or 0),
        page_token=page_token,
    )


def tasks_requests(
    *,
    kinds: Sequence[str],
    labels: Optional[Mapping[str, str]],
    from_start: bool,
    view: View,
    interval: Optional[Seconds],
    heartbeat: float,
) -> Callable[[str], pb.FollowTasksRequest]:
    """Returns the request of each stream over many tasks, by its cursor."""
    if view not in ("events", "tasks"):
        raise invalid("view", f"must be events or tasks, not {view!r}")
    template = pb.FollowTasksRequest(
        kinds=_kinds(kinds),
        labels=_labels(labels),
        view=pb.FOLLOW_VIEW_TASKS if view == "tasks" else pb.FOLLOW_VIEW_EVENTS,
        heartbeat_interval=to_duration("heartbeat_interval", heartbeat),
    )
    if interval is not None:
        template.interval.CopyFrom(to_duration("interval", interval))

    def request(cursor: str) -> pb.FollowTasksRequest:
        request = pb.FollowTasksRequest(cursor=cursor, from_start=from_start and cursor == "")
        request.MergeFrom(template)
        return request

    return request


_TASK_TOKEN_SCOPES: Mapping[TaskTokenScope, int] = {
    "tasks:read": pb.SCOPE_TASKS_READ,
    "tasks:cancel": pb.SCOPE_TASKS_CANCEL,
}


def task_token_request(
    task_id: str, scopes: Sequence[TaskTokenScope], ttl: Optional[Seconds]
) -> pb.CreateTaskTokenRequest:
    for scope in scopes:
        if scope not in _TASK_TOKEN_SCOPES:
            raise invalid("scopes", f"must be of {', '.join(_TASK_TOKEN_SCOPES)}, not {scope!r}")
    wanted = [_TASK_TOKEN_SCOPES[scope] for scope in scopes]
    request = pb.CreateTaskTokenRequest(task_id=check_text("task_id", task_id), scopes=wanted)
    if ttl is not None:
        request.ttl.CopyFrom(to_duration("ttl", ttl))
    return request


def events_request(
    task_id: str, from_seq: int, limit: Optional[int], wait: Seconds, view: EventView = "recorded"
) -> pb.GetEventsRequest:
    request = pb.GetEventsRequest(
        task_id=check_text("task_id", task_id),
        from_seq=int64("from_seq", from_seq),
        wait=to_duration("wait", wait),
        view=event_view(view),
    )
    if limit is not None:
        request.limit = int32("limit", limit)
    return request


def stream_request(task_id: str, from_seq: int, heartbeat: float, view: EventView) -> pb.StreamEventsRequest:
    return pb.StreamEventsRequest(
        task_id=check_text("task_id", task_id),
        from_seq=int64("from_seq", from_seq),
        heartbeat_interval=to_duration("heartbeat_interval", heartbeat),
        view=event_view(view),
    )


def event_view(view: EventView) -> int:
    if view not in VIEWS:
        raise invalid("view", f"must be {' or '.join(VIEWS)}, not {view!r}")
    return VIEWS[view]


def int32(field: str, value: int) -> int:
    return _integer(field, value, 32)


def int64(field: str, value: int) -> int:
    return _integer(field, value, 64)


def _integer(field: str, value: int, bits: int) -> int:
    if isinstance(value, int) and -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        return value
    raise invalid(field, f"must be an integer of {bits} bits, is {value!r}")


def _kinds(kinds: Sequence[str]) -> Sequence[str]:
    if isinstance(kinds, str):
        raise invalid("kinds", "must be a list of kinds, not text")
    return [check_text(f"kinds[{index}]", kind) for index, kind in enumerate(kinds)]


def _labels(labels: Optional[Mapping[str, str]]) -> Mapping[str, str]:
    return {check_text("labels", key): check_text(f"labels[{key!r}]", value) for key, value in (labels or {}).items()}


def within_start(error: SpoolError) -> SpoolError:
    """Returns the error of a start with the path that the field has in RunTaskRequest."""
    return invalid(f"start.{error.violations[0].field}", error.violations[0].description)


def next_page_token(page: pb.ListTasksResponse, token: str) -> str:
    """Returns the token of the next page; empty: there is none. Raises DATA_LOSS if the list would never end."""
    if page.next_page_token != "" and page.next_page_token == token:
        raise broken("the list of tasks does not end: a page has its own token as next_page_token")
    return page.next_page_token
