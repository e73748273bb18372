"""All questions in their order. One that fails is a finding, and the others are asked all the same."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from airflow_provider_segmind.contract import limits, questions
from airflow_provider_segmind.contract.findings import Finding, Findings, failed, not_asked, unseen
from airflow_provider_segmind.contract.jobs import (
    Pace,
    RefusedSubmit,
    Sightings,
    Submits,
    Submitted,
    watch,
    with_exact_end,
)
from airflow_provider_segmind.contract.pixel import png_data_url
from airflow_provider_segmind.contract.segmind import ContractError, OutOfTimeError, Segmind
from airflow_provider_segmind.emulator.worlds import CHOICES

KLING = "kling-o1-image-to-video"
KLING_PRICE = 0.91

_KLING_SIDE = 512
_LONGER = 3
_MOST_JOBS = 3
_HISTORY = ("history_rows", "history_lag", "history_media", "history_bodies")
_OF_JOB = ("running_status", "running_body", "ids", "optional_keys", "history_created", *_HISTORY)


@dataclass
class Asking:
    """Whom to ask, and how much.

    :param teammate: The same Segmind with the key of a teammate.
    :param spend: Whether to pay for a clip.
    :param exhaust: How many requests to send until the rate limit is reached; 0 for none.
    :param earlier: An own request of more than an hour.
    """

    own: Segmind
    pace: Pace
    teammate: Segmind | None = None
    spend: bool = False
    exhaust: int = 0
    earlier: str | None = None
    say: Callable[[str], None] = lambda _: None


def check(asking: Asking) -> Findings:
    """Ask everything, and return what was found."""
    return _Check(asking).run()


class _Check:
    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._own = asking.own
        self._pace = asking.pace
        self._submits = Submits(asking.own)
        self._refused: RefusedSubmit | None = None
        self._sightings: Sightings | None = None
        self._findings = Findings()

    def run(self) -> Findings:
        """Ask one question after the other."""
        if self._is_key_accepted():
            self._ask(["error_key"], lambda: questions.error_key(self._own))
            self._ask(["upload_key"], lambda: questions.upload_key(self._own))
            self._ask(["catalogue_key", "catalogue_parameters"], lambda: questions.catalogue(self._own))
            self._ask(_OF_JOB, self._watch_job)
            self._ask(["history_created"], self._compare_with_quick_job)
            self._ask_history()
            self._ask(["generations_lag"], self._watch_clip)
            self._ask(limits.NAMES, self._exhaust)
            self._ask(["reset_format"], lambda: questions.reset_format(self._own))
        return self._findings

    def _ask_history(self) -> None:
        asking, own, pace = self._asking, self._own, self._pace
        self._ask(["history_owner"], lambda: questions.history_owner(own, asking.teammate, pace))
        self._ask(
            ["server_error_leaves_job"],
            lambda: questions.server_error(own, self._submits, self._sightings, pace),
        )
        self._ask(["no_credits_status"], lambda: questions.no_credits(self._refused))
        if self._sightings is not None:
            sightings = self._sightings
            self._ask(
                ["history_after_expiry"],
                lambda: questions.history_after_expiry(own, sightings, asking.earlier),
            )

    def _ask(self, names: Sequence[str], question: Callable[[], Finding | list[Finding]]) -> None:
        self._asking.say(f"Asking about {', '.join(names)}")
        try:
            found = question()
        except OutOfTimeError as error:
            found = [not_asked(name, f"{error}") for name in names]
        except Exception as error:  # noqa: BLE001 - whatever it is, the report says it and the other questions go on
            found = [failed(name, f"{type(error).__name__}: {error}") for name in names]
        self._findings.add(*(found if isinstance(found, list) else [found]))

    def _is_key_accepted(self) -> bool:
        try:
            answer = self._own.get("gateway", "/v1/get-user-credits")
        except Exception as error:  # noqa: BLE001 - as above
            reason = f"The gateway cannot be asked: {type(error).__name__}: {error}"
        else:
            if answer.status not in (401, 403):
                self._findings.remarks.append(f"Balance: {answer.fields.get('credits', answer.describe())}")
                return True
            reason = f"The key is not accepted: {answer.describe()}"
        self._findings.remarks.append(reason)
        self._findings.add(*(failed(name, reason) for name in CHOICES))
        return False

    def _watch_job(self) -> list[Finding]:
        """Run a job of the test model: again and longer if it ended before a look, again, plain, if it failed."""
        pace = self._pace
        for _ in range(_MOST_JOBS):
            plain = self._sightings is not None and self._sightings.has_failed
            submitted = self._submits.submit_mock(pace.sleep, plain=plain)
            if isinstance(submitted, RefusedSubmit):
                self._refused = submitted
                return [unseen(name, f"The submit was answered {submitted.answer.describe()}") for name in _OF_JOB]
            self._sightings = self._watch(submitted, pace, pace.sleep)
            if self._sightings.was_watched and not self._sightings.has_failed:
                break
            if not self._sightings.was_watched:
                pace = replace(pace, sleep=pace.sleep * _LONGER)
        sightings = self._sightings
        if sightings is None:
            return []
        return [
            *questions.running_result(sightings),
            *questions.history_timing(sightings),
            *questions.history_inputs(sightings),
            questions.ids(sightings.job, sightings),
            questions.optional_keys(sightings),
        ]

    def _compare_with_quick_job(self) -> Finding:
        submitted = self._submits.submit_mock(0)
        if isinstance(submitted, RefusedSubmit) or self._sightings is None:
            return unseen("history_created", "It takes two jobs")
        second = self._watch(submitted, self._pace, 0)
        return questions.history_created(with_exact_end(self._sightings), with_exact_end(second))

    def _watch(self, submitted: Submitted, pace: Pace, seconds: float, *, generation: bool = False) -> Sightings:
        self._findings.request_ids.append(submitted.request_id)
        sightings = watch(self._own, submitted, pace, seconds, generation=generation)
        metrics = sightings.ended.fields.get("metrics") if sightings.ended else None
        cost = metrics.get("cost") if isinstance(metrics, dict) else None
        if isinstance(cost, int | float):
            self._findings.costs.append(float(cost))
        return sightings

    def _watch_clip(self) -> list[Finding]:
        if not self._asking.spend:
            return [not_asked("generations_lag", f"SPEND=1 asks with one Kling O1 clip, for about ${KLING_PRICE}")]
        self._own.require(self._pace.clip_limit)
        self._asking.say(f"SPEND=1: this makes one Kling O1 clip of 5 s, for about ${KLING_PRICE}")
        upload = self._own.post("storage", "/upload-asset", {"data_urls": [png_data_url(_KLING_SIDE)]})
        urls = upload.fields.get("file_urls") or upload.fields.get("urls")
        if not urls:
            raise ContractError(f"no clip was paid for: the upload of its image was answered {upload.describe()}")
        marker = f"contract check {secrets.token_hex(8)}"
        inputs = {"prompt": f"{marker}: grey fog drifts", "start_image_url": urls[0], "duration": 5}
        submitted = self._submits.submit(KLING, inputs, marker)
        if isinstance(submitted, RefusedSubmit):
            return [unseen("generations_lag", f"The submit was answered {submitted.answer.describe()}")]
        pace = replace(self._pace, pause=2 * self._pace.pause)
        sightings = self._watch(submitted, pace, pace.clip_limit, generation=True)
        return [
            *questions.history_timing(sightings),
            *questions.history_inputs(sightings),
            questions.generations_lag(sightings),
        ]

    def _exhaust(self) -> list[Finding]:
        if not self._asking.exhaust:
            reason = (
                "EXHAUST=1 asks by using the limit up: other tasks with the same key wait for a minute meanwhile"
            )
            return [not_asked(name, reason) for name in limits.NAMES]
        if self._sightings is None:
            return [unseen(name, "It takes a request whose status can be asked for") for name in limits.NAMES]
        return limits.what_counts(self._own, self._sightings.job.request_id, self._asking.exhaust)
