"""Series of partials: what a worker may emit, and how a follower reads the folded view."""

import unittest
from typing import Any, Iterator, List, Tuple

from spooltape import FoldedEvent, FoldedPart, PartialEvent, Series, SpoolError
from spooltape import _messages as pb
from spooltape._json import to_struct
from spooltape._worker.emission import partial_event

from callers import CALLERS, opened
from scripted_server import ScriptedServer, events, fail, frame

ANSWER = Series("answer", "append", "text")
TIME = pb.Timestamp(seconds=1_700_000_000)


def message(text: str) -> pb.Partial:
    series = pb.Series(name="answer", mode=pb.SERIES_MODE_APPEND, field="text")
    payload = to_struct({"text": text}, "payload", bytes_max=1_000, values_max=10)
    return pb.Partial(kind="delta", payload=payload, series=series)


def folded(first: int, last: int, text: str) -> pb.Event:
    part = pb.FoldedPartial(partial=message(text), count=last - first + 1, first_seq=first, last_seq=last)
    return pb.Event(seq=last, time=TIME, folded=pb.Folded(first_seq=first, parts=[part]))


def answer(items: List[pb.Event], final: bool = False) -> pb.StreamEventsResponse:
    status = pb.TASK_STATUS_SUCCEEDED if final else pb.TASK_STATUS_RUNNING
    return pb.StreamEventsResponse(events=items, last_seq=items[-1].seq, status=status)


class SeriesTest(unittest.TestCase):
    def test_the_folded_view_resumes_after_all_seqs_of_an_event(self) -> None:
        def stream(request: Any, context: Any) -> Iterator[Any]:
            if request.from_seq == 1:
                yield answer([pb.Event(seq=1, time=TIME, partial=message("a")), folded(2, 5, "bcde")])
                fail(context, "UNAVAILABLE", "STORE_UNAVAILABLE", retry_after=0.01)
            yield answer([folded(6, 8, "fgh"), *events(9, 9, final=9)], final=True)

        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(StreamEvents=stream) as server:
                with opened(kind, server.address) as caller:
                    items, error = caller.collect("follow", "t", view="folded")
                self.assertIsNone(error)
                requests = server.requests_of("StreamEvents")
                self.assertEqual([request.from_seq for request in requests], [1, 6])
                self.assertEqual({request.view for request in requests}, {pb.EVENT_VIEW_FOLDED})
                first, run = items[:2]
                assert isinstance(first, PartialEvent) and isinstance(run, FoldedEvent)
                self.assertEqual((first.payload, first.series), ({"text": "a"}, ANSWER))
                self.assertEqual((run.seq, run.first_seq), (5, 2))
                self.assertEqual(run.parts, (FoldedPart("delta", {"text": "bcde"}, ANSWER, 4, 2, 5),))
                self.assertEqual(run.parts[0].text, "bcde")

    def test_a_folded_event_must_begin_at_the_next_seq(self) -> None:
        for first, fault in ((1, "repeats event 1"), (3, "skips to event 3")):
            script = lambda *_: iter([answer([*events(1, 1), folded(first, 4, "x")])])  # noqa: E731
            for kind in CALLERS:
                with self.subTest(fault, kind=kind), ScriptedServer(StreamEvents=script) as server:
                    with opened(kind, server.address) as caller:
                        _, error = caller.collect("follow", "t", view="folded")
                    assert error is not None
                    self.assertEqual(error.code, "DATA_LOSS")
                    self.assertIn(fault, error.message)

    def test_pages_and_runs_ask_for_the_view(self) -> None:
        page = pb.GetEventsResponse(events=[folded(1, 3, "abc")], next_from_seq=4, status=pb.TASK_STATUS_RUNNING)
        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(GetEvents=lambda *_: page) as server:
                with opened(kind, server.address) as caller:
                    read = caller.call("events", "t", view="folded")
                    self.assertEqual(read.events[0].parts[0].text, "abc")
                    with self.assertRaises(SpoolError) as raised:
                        caller.call("events", "t", view="joined")
                self.assertEqual(raised.exception.violations[0].field, "view")
                self.assertEqual(server.requests_of("GetEvents")[0].view, pb.EVENT_VIEW_FOLDED)

    def test_without_a_view_the_events_are_as_recorded(self) -> None:
        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(StreamEvents=lambda *_: iter([frame(1, 2, final=2)])) as server:
                with opened(kind, server.address) as caller:
                    caller.collect("follow", "t")
                self.assertEqual(server.requests_of("StreamEvents")[0].view, pb.EVENT_VIEW_RECORDED)

    def test_a_partial_carries_its_series(self) -> None:
        event = partial_event("delta", {"text": "a"}, Series("answer", "append"))
        self.assertEqual((event.partial.series.name, event.partial.series.field), ("answer", "text"))
        self.assertEqual(event.partial.series.mode, pb.SERIES_MODE_APPEND)
        self.assertFalse(partial_event("delta", {}).partial.HasField("series"))

    def test_an_invalid_series_is_refused_with_its_field(self) -> None:
        cases: List[Tuple[Any, Any, str]] = [
            ({"text": "a"}, Series("", "append"), "partial.series.name"),
            ({"text": "a"}, Series("n" * 129, "append"), "partial.series.name"),
            ({"text": "a"}, Series("a", "join"), "partial.series.mode"),  # type: ignore[arg-type]
            ({"text": "a"}, Series("a", "latest", "text"), "partial.series.field"),
            ({"text": "a"}, Series("a", "append", "f" * 129), "partial.series.field"),
            ({"text": 1}, Series("a", "append"), "partial.payload.text"),
            ({}, Series("a", "append", "t"), "partial.payload.t"),
            ({}, "answer", "partial.series"),
        ]
        for payload, series, field in cases:
            with self.subTest(field), self.assertRaises(SpoolError) as raised:
                partial_event("delta", payload, series)
            self.assertEqual(raised.exception.violations[0].field, field)
