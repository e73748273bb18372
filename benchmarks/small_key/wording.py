"""What became of them, in words and tables."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median

from benchmarks.races import PRICE, TYPICAL
from benchmarks.report import spread, table
from benchmarks.small_key.dags.contestants import Contestant
from benchmarks.small_key.outcome import Outcome
from benchmarks.small_key.settings import Settings

NONE = "-"
ENDPOINTS = ("submit", "status", "result", "history")

ByContestant = Mapping[Contestant, Sequence[Outcome]]


def text(rounds: Sequence[Sequence[Outcome]], settings: Settings, database: str) -> str:
    """
    Return what a Section says.

    :param rounds: The outcomes of each, in the order of the contestants.
    """
    outcomes = {
        contestant: [each[place] for each in rounds] for place, contestant in enumerate(settings.contestants)
    }
    return "\n\n".join(
        (
            _setting(settings, len(rounds), database),
            "Tasks as Airflow counts them, payments as the emulators' ledgers do:",
            _results(outcomes),
            "The official client polls once a second, and raises the first 429 that it is answered. If the submit "
            "was accepted by then, the video is made and paid all the same, and a retry submits another one.",
            "Worker slots: the time from each `running` to the next state in Airflow's audit log, of all tasks "
            "together, divided by the videos that were delivered; and medians of single stays. In the first stay "
            f"all {settings.tasks * len(outcomes)} tasks start at once, on {os.cpu_count()} cores. Workers are "
            "forks of a scheduler that has imported everything beforehand.",
            _slots(outcomes),
            "Requests, as the emulators count them:",
            _requests(outcomes),
        )
    )


def _setting(settings: Settings, rounds: int, database: str) -> str:
    repeated = f" Median of {rounds} runs, and from where to where they went." if rounds > 1 else ""
    return (
        f"{settings.tasks} mapped Kling tasks each, on keys that allow {settings.rate} requests a minute, status "
        "polls included. All contestants are started at one moment in one real Airflow (API server, scheduler "
        f"with LocalExecutor and {settings.slots} slots, DAG processor, triggerer, {database}), each "
        f"with a separate emulator and key. A job takes {TYPICAL * settings.scale:.1f} s on average, "
        "drawn from the same seed for all. The official client (`segmind` 1.3.0) is called in a "
        "`PythonOperator`: `submit_async(…)`, then `wait()` with its defaults. `retries=0` unless something else "
        f"is said; with `retries=3` there are 60 s between attempts.{repeated}"
    )


def _results(outcomes: ByContestant) -> str:
    heads = (
        *("", "succeeded", "failed", "attempts", "videos delivered", "videos paid", "paid for nothing"),
        *("last video after", "each after it was made, median", "longest"),
    )
    return table(heads, [(each.title, *_result(found)) for each, found in outcomes.items()])


def _result(found: Sequence[Outcome]) -> tuple[str, ...]:
    delays = [[delivery.delay for delivery in each.deliveries] for each in found]
    return (
        _whole(each.states.get("success", 0) for each in found),
        _whole(each.states.get("failed", 0) for each in found),
        _whole(sum(each.attempts) for each in found),
        _whole(each.delivered for each in found),
        _whole(each.charged for each in found),
        f"{spread([(each.charged - each.delivered) * PRICE for each in found])} USD",
        _seconds([each.deliveries[-1].at for each in found if each.delivered]),
        _middle(delays),
        _seconds([max(each) for each in delays if each], 1),
    )


def _slots(outcomes: ByContestant) -> str:
    heads = ("", "slot-seconds per video", "against the first", "stays per task", "first stay", "later stays")
    first = next(iter(outcomes.values()))
    rows = [
        (
            contestant.title,
            _seconds([per for each in found if (per := each.slot_seconds_per_video) is not None], 1),
            _ratio(found, first),
            spread([fmean(map(len, each.stays)) for each in found], 1),
            _middle([each.first_stays for each in found]),
            _middle([each.later_stays for each in found]),
        )
        for contestant, found in outcomes.items()
    ]
    return table(heads, rows)


def _requests(outcomes: ByContestant) -> str:
    rows = [
        (
            contestant.title,
            *(_whole(each.requests.get(endpoint, 0) for each in found) for endpoint in ENDPOINTS),
            _whole(sum(each.requests.values()) for each in found),
            _whole(sum(each.limited.values()) for each in found),
            _whole(each.limited.get("submit", 0) for each in found),
        )
        for contestant, found in outcomes.items()
    ]
    return table(("", *ENDPOINTS, "all", "answered 429", "of them submits"), rows)


def _whole(values: Iterable[int]) -> str:
    return spread(list(values), 0)


def _seconds(values: Sequence[float], digits: int = 0) -> str:
    return f"{spread(values, digits)} s" if values else NONE


def _middle(values: Sequence[Sequence[float]]) -> str:
    return _seconds([median(each) for each in values if each], 1)


def _ratio(found: Sequence[Outcome], first: Sequence[Outcome]) -> str:
    pairs = [
        (each.slot_seconds_per_video, base.slot_seconds_per_video) for each, base in zip(found, first, strict=True)
    ]
    ratios = [each / base for each, base in pairs if each is not None and base]
    return f"{spread(ratios, 1)} times" if ratios else NONE
