"""Which request in Segmind's lists is taken for that of a submit without an answer, and when the search ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_segmind.api.call import Call, Rank
from airflow_provider_segmind.api.calls import GENERATIONS_PATH, HISTORY_PATH
from airflow_provider_segmind.api.follow import Wait, advance
from airflow_provider_segmind.api.history import HistoryEntry, HistoryPage
from airflow_provider_segmind.api.history_search import (
    LONGEST_SEARCH_QUEUE,
    MOST_ASKED,
    MOST_CONFIRMED,
    MOST_PAGES,
    Confidence,
    HistoryMatches,
    search_history,
)
from airflow_provider_segmind.api.sent_inputs import MOST_PARAMETERS, Likeness, SentInputs
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.exceptions import (
    AuthenticationError,
    NoAnswerError,
    PermissionDeniedError,
    RateLimitedError,
    RequestExpiredError,
    SegmindError,
    ServerError,
    UnreadableResponseError,
    UntrustedCertificateError,
)

MODEL = "kling-o1-image-to-video"
IMAGE, UPLOADED = "https://shop.example/mug.png", "https://segmind.example/uploads/1.png"
SENT: dict[str, Any] = {"prompt": "zoom", "duration": 5, "image": IMAGE, "end_image": UPLOADED}
AT = 1_795_435_200.0
"""When the submit was sent."""

UNDER_WAY, DIFFERENCE = 90.0, 30.0
"""Seconds until it must have been accepted, and by which clocks may differ."""

UNTIL = 600.0
"""Seconds after the submit when the search ends."""


# What a row has to show.


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (SENT, Likeness.SAME),
        ({**SENT, "duration": "5"}, Likeness.SAME),
        ({**SENT, "seed": None}, Likeness.SAME),
        ({}, Likeness.AS_SHOWN),
        ({"prompt": "zoom"}, Likeness.AS_SHOWN),
        ({"prompt": "zoom", "image": None}, Likeness.AS_SHOWN),
        ({**SENT, "guidance": 7.5}, Likeness.AS_SHOWN),
        ({**SENT, "image": "https://segmind.example/stored/9.png"}, Likeness.AS_SHOWN),
        ({**SENT, "image": ["https://segmind.example/stored/9.png"]}, Likeness.AS_SHOWN),
        ({**SENT, "image": "<image>"}, Likeness.AS_SHOWN),
        ({**SENT, "end_image": "https://segmind.example/stored/9.png"}, Likeness.AS_SHOWN),
        ({**SENT, "prompt": "pan"}, Likeness.OTHER),
        ({"prompt": "pan"}, Likeness.OTHER),
        ({**SENT, "duration": 10}, Likeness.OTHER),
        ({**SENT, "image": "https://shop.example/lamp.png"}, Likeness.OTHER),
        ({**SENT, "image": ["x", {"a": "https://shop.example/lamp.png"}]}, Likeness.OTHER),
        ({**SENT, "end_image": "https://segmind.example/uploads/2.png"}, Likeness.OTHER),
        ({**SENT, "third_image": "https://shop.example/lamp.png"}, Likeness.OTHER),
        ({**SENT, "third_image": "data:image/png;base64,AA"}, Likeness.OTHER),
    ],
)
def test_what_a_row_shows_of_the_inputs(shown: Mapping[str, Any], expected: Likeness) -> None:
    assert SentInputs.of(MODEL, SENT, {UPLOADED}).compare(MODEL, shown) is expected


def test_another_model_is_another_request_though_its_inputs_are_the_same() -> None:
    assert SentInputs.of(MODEL, SENT).compare("another", SENT) is not Likeness.SAME


def test_media_without_an_address_may_be_shown_as_anything() -> None:
    sent = SentInputs.of(MODEL, {"image": "data:image/png;base64,AA"})
    assert sent.compare(MODEL, {"image": "https://anywhere.example/1.png"}) is Likeness.AS_SHOWN
    assert sent.compare(MODEL, {"image": "data:image/png;base64,BB"}) is Likeness.AS_SHOWN


def test_an_address_deep_within_a_parameter_is_media_too() -> None:
    sent = SentInputs.of(MODEL, {"images": [{"of": ({"it": [IMAGE]},)}]})
    assert sent.compare(MODEL, {"images": "https://segmind.example/1.png"}) is Likeness.AS_SHOWN
    assert sent.compare(MODEL, {"images": "https://shop.example/lamp.png"}) is Likeness.OTHER


@pytest.mark.parametrize(
    ("parameters", "one_by_one"),
    [
        ({f"p{number}": 1 for number in range(MOST_PARAMETERS)}, True),
        ({f"p{number}": 1 for number in range(MOST_PARAMETERS + 1)}, False),
        ({"p" * 200: 1}, True),
        ({"p" * 201: 1}, False),
    ],
)
def test_many_parameters_are_compared_as_a_whole(parameters: dict[str, Any], one_by_one: bool) -> None:
    sent = SentInputs.of(MODEL, parameters)
    assert sent.compare(MODEL, parameters) is Likeness.SAME
    assert sent.compare(MODEL, {}) is (Likeness.AS_SHOWN if one_by_one else Likeness.OTHER)


# The search.


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(AT + seconds, UTC)


def row(request_id: str = "r1", seconds: float | None = 10.0, **changes: Any) -> HistoryEntry:
    created = None if seconds is None else moment(seconds)
    values = {"parameters": SENT, "created_at": created, **changes}
    return HistoryEntry(request_id, values.pop("model", MODEL), values.pop("state", "COMPLETED"), **values)


def submit(**changes: Any) -> UnresolvedSubmit:
    sent = SentInputs.of(MODEL, SENT, {UPLOADED})
    return UnresolvedSubmit(
        **{
            "model": MODEL,
            "sent_fingerprint": sent.fingerprint,
            "sent_at": AT,
            "accepted_by": AT + UNDER_WAY,
            "search_from": AT,
            "search_until": AT + UNTIL,
            "sent_digests": sent.digests,
            "sent_media": sent.media,
            **changes,
        }
    )


@dataclass
class Lists:
    """Segmind's lists in virtual time: a test says what they have, or answers itself."""

    history: Sequence[HistoryEntry] = ()
    generations: Sequence[HistoryEntry] | SegmindError = ()
    of_teammates: frozenset[str] = frozenset()
    now: float = AT
    asked: list[tuple[float, Call[Any]]] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    answer: Callable[[Call[Any]], Any] | None = None
    takes: float = 0.0

    def send(self, call: Call[Any]) -> Any:
        self.asked.append((self.now - AT, call))
        self.now += self.takes
        found = self.answer(call) if self.answer is not None else None
        if found is not None:
            return found
        if call.request_id is not None:
            if call.request_id in self.of_teammates:
                return RequestExpiredError("not found", status=404)
            return row(call.request_id)
        listed = self.history if call.path == HISTORY_PATH else self.generations
        return listed if isinstance(listed, SegmindError) else page(listed, call)

    def search(self, wanted: UnresolvedSubmit | None = None) -> HistoryMatches:
        steps, outcome = search_history(wanted or submit(), lambda: self.now), None
        while True:
            try:
                step = advance(steps, outcome)
            except StopIteration as end:
                found: HistoryMatches = end.value
                return found
            if isinstance(step, Wait):
                self.waits.append(step)
                self.now += step.seconds
                outcome = None
            else:
                outcome = self.send(step)

    @property
    def took(self) -> float:
        return self.now - AT

    def calls(self, path: str) -> list[tuple[float, Call[Any]]]:
        return [each for each in self.asked if each[1].path == path]


def page(entries: Sequence[HistoryEntry], call: Call[Any]) -> HistoryPage:
    size = int(call.query.get("per_page", 20))
    number = int(call.query["page"])
    part = tuple(entries[(number - 1) * size : number * size])
    return HistoryPage(part, len(part))


def test_a_row_that_is_certainly_the_one_ends_the_search_at_once() -> None:
    lists = Lists([row()])
    assert lists.search() == HistoryMatches(("r1",))
    assert (lists.took, lists.waits) == (0, [])
    assert not lists.calls(GENERATIONS_PATH)


def test_a_search_begins_when_it_is_said_to() -> None:
    lists = Lists([row()])
    assert lists.search(submit(search_from=AT + 90)) == HistoryMatches(("r1",))
    assert [wait.seconds for wait in lists.waits] == [90]


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ({"parameters": {"prompt": "zoom"}}, Confidence.LIKELY),
        ({"seconds": UNDER_WAY + DIFFERENCE + 61, "latency": 100.0}, Confidence.LIKELY),
        (
            {"parameters": {"prompt": "zoom"}, "seconds": UNDER_WAY + DIFFERENCE + 61, "latency": 100.0},
            Confidence.DOUBTFUL,
        ),
    ],
)
def test_what_is_not_certain_counts_at_the_end_of_the_search(only: dict[str, Any], expected: Confidence) -> None:
    lists = Lists([row(**only)])
    assert lists.search() == HistoryMatches(("r1",), confidence=expected)
    assert lists.took == UNTIL


def test_the_best_matches_alone_count() -> None:
    doubtful = row("doubtful", UNDER_WAY + DIFFERENCE + 61, latency=100.0, parameters={})
    likely = row("likely", parameters={})
    assert Lists([doubtful, likely]).search() == HistoryMatches(("likely",), confidence=Confidence.LIKELY)
    assert Lists([doubtful, likely, row("certain")]).search() == HistoryMatches(("certain",))


def test_several_that_match_equally_well_are_listed_the_oldest_first() -> None:
    rows = [row("c", 12), row("b", 11), row("a", 11), row("d", 10)]
    assert Lists(rows).search() == HistoryMatches(("d", "a", "b", "c"))


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        (-DIFFERENCE - 1, False),
        (-DIFFERENCE, True),
        (UNDER_WAY + DIFFERENCE, True),
        (UNDER_WAY + DIFFERENCE + 1, False),
    ],
)
def test_a_request_of_another_time_is_another(seconds: float, found: bool) -> None:
    assert Lists([row(seconds=seconds)]).search().request_ids == (("r1",) if found else ())


def test_the_requests_of_submits_before_this_one_may_still_appear() -> None:
    replacing = submit(earlier_sent_at=(AT - 3000,))
    assert Lists([row(seconds=-3000)]).search(replacing) == HistoryMatches(("r1",))
    assert Lists([row(seconds=-1500)]).search(replacing) == HistoryMatches()
    lists = Lists()
    lists.search(replacing)
    assert lists.asked[0][1].query["from_date"] == str(moment(-3000 - 86400 - DIFFERENCE).date())


@pytest.mark.parametrize(
    "other",
    [
        row(model="another"),
        row(state="FAILED"),
        row("ig-no-red"),
        row(parameters={**SENT, "prompt": "pan"}),
    ],
    ids=["model", "failed", "known", "prompt"],
)
def test_what_is_certainly_another_request_leads_to_no_match(other: HistoryEntry) -> None:
    lists = Lists([other])
    assert lists.search(submit(ignored_ids=("IGNORED",))) == HistoryMatches()
    assert lists.took == UNTIL


def test_a_row_need_not_name_its_model() -> None:
    assert Lists([row(model="")]).search() == HistoryMatches(("r1",))


@pytest.mark.parametrize("unreadable", [row(parameters=None), row(seconds=None)], ids=["inputs", "time"])
def test_a_row_that_cannot_be_read_may_be_the_one(unreadable: HistoryEntry) -> None:
    matches = Lists([unreadable]).search()
    assert matches.request_ids == ()
    assert "1 requests to kling" in str(matches.trouble)
    assert Lists([unreadable, row("r2")]).search() == HistoryMatches(("r2",))
    assert Lists([row(state="FAILED", parameters=None)]).search() == HistoryMatches()


def test_a_row_that_can_be_read_later_counts() -> None:
    """It may be incomplete in one list and complete in the other, or the next time."""
    assert Lists([row(parameters=None)], [row()]).search() == HistoryMatches(("r1",))


# The list of generations.


def test_a_request_may_be_in_the_list_of_generations_alone() -> None:
    lists = Lists([], [row()])
    assert lists.search() == HistoryMatches(("r1",))
    assert lists.took == 0
    _, call = lists.calls(GENERATIONS_PATH)[0]
    assert call.query["model_name"] == MODEL
    assert (call.query["start_date"], call.query["end_date"]) == (
        str(moment(-DIFFERENCE - 86400).date()),
        str(moment(UNDER_WAY + DIFFERENCE + 86400).date()),
    )
    assert call.turn is not None
    assert call.turn.rank is Rank.SUBMIT


def test_what_the_history_says_of_a_request_counts_more() -> None:
    assert Lists([row("R-1", state="FAILED")], [row("r1")]).search() == HistoryMatches()
    incomplete = row("r1", parameters={**SENT, "prompt": "pan"})
    assert Lists([row("r1", parameters={"prompt": "zoom"})], [incomplete]).search() == HistoryMatches(
        ("r1",), confidence=Confidence.LIKELY
    )


@pytest.mark.parametrize("error", [PermissionDeniedError("no"), UnreadableResponseError("no JSON")])
def test_a_list_of_generations_that_is_not_there_is_done_without(error: SegmindError) -> None:
    assert Lists([], error).search() == HistoryMatches()


@pytest.mark.parametrize("error", [ServerError("down"), NoAnswerError("silence"), RateLimitedError("slow down")])
def test_a_list_of_generations_that_cannot_be_read_just_now_may_have_it(error: SegmindError) -> None:
    assert Lists([], error).search().trouble is error


def test_all_pages_of_the_generations_are_read() -> None:
    others = [row(f"other-{number}", parameters={"prompt": "pan"}) for number in range(45)]
    lists = Lists([], [*others, row()])
    assert lists.search() == HistoryMatches(("r1",))
    assert [call.query["page"] for _, call in lists.calls(GENERATIONS_PATH)] == ["1", "2", "3", "4"]


def test_a_list_of_generations_that_has_no_pages_is_read_once() -> None:
    """Segmind may answer each page with the same rows."""
    same = HistoryPage((row("x", parameters={"prompt": "pan"}),), 1)
    lists = Lists(answer=lambda call: same if call.path == GENERATIONS_PATH else None)
    assert lists.search(submit(search_until=AT)) == HistoryMatches()
    assert [call.query["page"] for _, call in lists.calls(GENERATIONS_PATH)] == ["1", "2"]


def test_generations_from_before_the_submit_are_not_read_to_their_end() -> None:
    lists = Lists([], [row(f"old-{number}", -3600 - number) for number in range(100)])
    assert lists.search(submit(search_until=AT)) == HistoryMatches()
    assert [call.query["page"] for _, call in lists.calls(GENERATIONS_PATH)] == ["1"]


def test_no_more_than_so_many_pages_are_read() -> None:
    def endless(call: Call[Any]) -> HistoryPage:
        first = 100 * int(call.query["page"])
        rows = tuple(row(f"{call.path}-{first + n}", parameters={"prompt": "pan"}) for n in range(100))
        return HistoryPage(rows, 100)

    lists = Lists(answer=endless)
    matches = lists.search(submit(search_until=AT))
    assert f"it has more than {100 * MOST_PAGES} requests of those days" in str(matches.trouble)
    assert [call.query["page"] for _, call in lists.calls(HISTORY_PATH)] == [
        str(number) for number in range(1, MOST_PAGES + 1)
    ]
    assert len(lists.calls(GENERATIONS_PATH)) == MOST_PAGES


def test_a_page_with_rows_that_cannot_be_read_may_have_it() -> None:
    lists = Lists(answer=lambda call: HistoryPage((), 2, unreadable=2) if call.path == HISTORY_PATH else None)
    assert "2 rows of it cannot be read" in str(lists.search().trouble)
    lists = Lists([], [row()], answer=lists.answer)
    assert lists.search() == HistoryMatches(("r1",)), "the other list has it"


# Teams.


def test_a_teammate_s_request_is_not_taken() -> None:
    lists = Lists([row("theirs"), row("own")], of_teammates=frozenset({"theirs"}))
    assert lists.search() == HistoryMatches(("own",))
    alone = Lists([row("theirs")], of_teammates=frozenset({"theirs"}))
    assert alone.search() == HistoryMatches()
    assert alone.asked[1][1].turn == alone.asked[0][1].turn
    assert alone.asked[0][1].turn is not None


@pytest.mark.parametrize("error", [PermissionDeniedError("no"), UnreadableResponseError("no JSON")])
def test_whose_a_request_is_may_not_be_known(error: SegmindError) -> None:
    lists = Lists([row()], answer=lambda call: error if call.request_id else None)
    assert lists.search() == HistoryMatches(("r1",))


def test_whose_a_request_is_is_asked_again_if_the_answer_was_lost() -> None:
    errors = [NoAnswerError("silence")]
    lists = Lists([row()], answer=lambda call: errors.pop() if call.request_id and errors else None)
    assert lists.search() == HistoryMatches(("r1",))
    (remark,) = (wait.remark for wait in lists.waits)
    assert remark == "Will read the request history again: Segmind did not answer: silence."


def test_what_is_known_to_be_its_own_is_not_asked_for_twice() -> None:
    """The first look breaks off after it has asked for one of two; the second asks for the other."""
    errors = [NoAnswerError("silence")]
    lists = Lists([row("a", 10), row("b", 11)])
    lists.answer = lambda call: errors.pop() if call.request_id == "b" and errors else None
    assert lists.search() == HistoryMatches(("a", "b"))
    assert [call.request_id for _, call in lists.asked if call.request_id] == ["a", "b", "b"]


def test_more_than_can_be_told_apart_are_not_all_asked_for() -> None:
    lists = Lists([row(f"r{number:03}") for number in range(MOST_CONFIRMED + 5)])
    assert lists.search() == HistoryMatches(tuple(f"r{number:03}" for number in range(MOST_CONFIRMED)))
    assert len([call for _, call in lists.asked if call.request_id]) == MOST_CONFIRMED


@pytest.mark.parametrize(("count", "gives_up"), [(MOST_ASKED, False), (MOST_ASKED + 1, True)])
def test_a_team_with_many_requests_may_have_it(count: int, gives_up: bool) -> None:
    rows = [row(f"r{number:03}") for number in range(count)]
    lists = Lists(rows, of_teammates=frozenset(each.request_id for each in rows))
    matches = lists.search(submit(search_until=AT))
    assert matches.request_ids == ()
    assert ("requests of the team may be the one" in str(matches.trouble)) is gives_up


# Trouble, and time.


@pytest.mark.parametrize("error", [AuthenticationError("no"), UntrustedCertificateError("who")])
def test_trouble_that_lasts_ends_the_search(error: SegmindError) -> None:
    lists = Lists(answer=lambda _: error)
    assert lists.search().trouble is error
    assert lists.took == 0


def test_trouble_that_may_pass_is_waited_out_to_the_end() -> None:
    lists = Lists(answer=lambda _: ServerError("down", status=503))
    assert isinstance(lists.search().trouble, ServerError)
    assert lists.took == UNTIL
    assert all(wait.remark.startswith("Will read the request history again: ") for wait in lists.waits)
    passing = [ServerError("down", status=503)]
    lists = Lists([row()], answer=lambda _: passing.pop() if passing else None)
    assert lists.search() == HistoryMatches(("r1",))


def test_a_rate_limit_prolongs_the_search() -> None:
    lists = Lists(answer=lambda _: RateLimitedError("slow down"))
    assert isinstance(lists.search().trouble, RateLimitedError)
    assert lists.took == UNTIL + LONGEST_SEARCH_QUEUE
    late = Lists(answer=lambda _: RateLimitedError("slow down"), now=AT + 1000)
    assert isinstance(late.search().trouble, RateLimitedError)
    assert late.took == 1000 + LONGEST_SEARCH_QUEUE
    assert {call.turn.not_after for _, call in late.asked if call.turn} == {AT + 1000 + LONGEST_SEARCH_QUEUE}


def test_a_search_without_trouble_remarks_on_nothing() -> None:
    lists = Lists()
    assert lists.search() == HistoryMatches()
    assert {wait.remark for wait in lists.waits} == {""}


def test_the_pauses_double_and_then_grow_with_the_search() -> None:
    lists = Lists()
    lists.search(submit(search_until=AT + 4000))
    pauses = [wait.seconds for wait in lists.waits]
    assert pauses[:6] == [5, 10, 20, 30, 30, 30]
    assert {round(pause / sum(pauses[:number]), 3) for number, pause in enumerate(pauses) if 6 <= number < 21} == {
        0.25
    }
    assert sum(pauses) == pytest.approx(4000)


def test_a_look_that_takes_long_is_followed_by_another_that_counts_everything() -> None:
    lists = Lists([row(parameters={})], takes=50)
    wanted = replace(submit(), search_until=AT + 60)
    assert lists.search(wanted) == HistoryMatches(("r1",), confidence=Confidence.LIKELY)
    assert all(wait.seconds >= 0 for wait in lists.waits)
