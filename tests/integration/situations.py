"""What can go wrong for a task: the rows of docs/errors.md, and how the emulator provokes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from airflow_provider_segmind.compat import TaskDeferred
from airflow_provider_segmind.exceptions import SegmindError
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

Fault = Mapping[str, Any]

BEFORE = "Before the submit"
SUBMIT = "On submit"
WAITING = "While waiting"
OUTPUT = "When the output is stored"
UNRECORDED = "Without a record"
GROUPS = {
    BEFORE: "Nothing was sent to Segmind that could be charged.",
    SUBMIT: (
        "Segmind answers the submit with this status, or does not answer. If an answer is lost, nobody knows "
        "whether Segmind accepted the request: the task searches Segmind's request history until the request "
        "[could have finished and been recorded](paid-once.md#what-a-task-does). "
        "If the history cannot be read, the retries search again, and submit nothing."
    ),
    WAITING: (
        "Segmind has accepted the request. The task waits out whatever may pass until `timeout`, and uses up no "
        "retry."
    ),
    OUTPUT: "With `output_path`. The request is completed and charged; its URL is in the XCom `summary`.",
    UNRECORDED: (
        "Before Airflow 3.3, or with `durable=False`, a retry knows nothing of earlier attempts, and a cleared "
        "task submits a new request. Whatever a retry would pay for again therefore fails without one. Situations "
        "that are not listed here stay the same."
    ),
}

CHECK_PARAMETERS = "Correct the parameters."
ASK_TEAM = "Ask the owner of the Segmind account or team."
NOTHING = "Nothing."
STORAGE_BACK = "If all attempts are used up, clear the task once the storage can be reached."
UPLOAD_AGAIN = "If all attempts are used up, clear the task once Segmind's storage works again."
FIX_KEY = "Correct the connection's password, then clear the task."
FIX_BUNDLE = "Set `verify` in the connection to the path of your CA bundle, then clear the task."
WAIT_OR_CLEAR = (
    "If all attempts are used up, clear the task: it continues with the same request. Or "
    "[give it up](runbook.md#give-up-a-request)."
)
LOOK_IN_HISTORY = "Look for the request in Segmind's history: [what then](runbook.md#submitunresolvederror)."
STORED_LATER = "Remove the cause and clear the task within seven days: it stores the same video."


@dataclass(frozen=True)
class Situation:
    """
    One thing that goes wrong.

    :param faults: What the emulator does.
    :param arguments: Arguments of the operator beside the usual ones.
    :param settings: How the emulator behaves throughout.
    :param when_deferred: Is called when the task defers.
    :param options: Airflow's options while this task runs, by their environment variables.
    """

    key: str
    group: str
    what: str
    to_do: str
    faults: Sequence[Fault] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    when_deferred: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)


def _submit(key: str, what: str, to_do: str, **fault: Any) -> Situation:
    return Situation(key, SUBMIT, what, to_do, [{"on": "submit", **fault}])


def _waiting(key: str, what: str, to_do: str, *faults: Fault, **arguments: Any) -> Situation:
    return Situation(key, WAITING, what, to_do, faults, arguments)


def _output(key: str, what: str, to_do: str, *faults: Fault, **more: Any) -> Situation:
    arguments = {"output_path": f"{{{{ var.value.clips }}}}/{key}.mp4", **more.pop("arguments", {})}
    return Situation(key, OUTPUT, what, to_do, faults, arguments, **more)


STUCK = {"on": "submit", "outcome": "stuck"}
LOST = {"on": "submit", "drop": "after", "count": 1}
HISTORY_DOWN = {"on": "history", "status": 503}
OF_BUCKET = {"output_path": "s3://deleted/clip.mp4", "output_conn_id": "storage"}

SITUATIONS = (
    Situation(
        "template", BEFORE, "a template renders a wrong value", CHECK_PARAMETERS, (), {"prompt": "{{ '' }}"}
    ),
    Situation(
        "local_file",
        BEFORE,
        "an image is in a folder that is not allowed",
        "Add the folder to `[segmind] allowed_local_paths` on the workers.",
        (),
        {"start_image_url": "/etc/a.png"},
    ),
    Situation(
        "no_connection",
        BEFORE,
        "the connection is missing or wrong",
        "Correct the connection.",
        (),
        {"segmind_conn_id": "not_there"},
    ),
    Situation(
        "no_bucket",
        BEFORE,
        "the bucket of `output_path` does not exist",
        "Create the bucket, or correct `output_path`.",
        (),
        {"output_path": "s3://missing/clip.mp4", "output_conn_id": "storage"},
    ),
    Situation(
        "input_down",
        BEFORE,
        "the storage of an image cannot be reached",
        STORAGE_BACK,
        (),
        {"start_image_url": "s3://products/a.png", "input_conn_id": "storage_down"},
    ),
    Situation(
        "output_down",
        BEFORE,
        "the storage of `output_path` cannot be reached",
        STORAGE_BACK,
        (),
        {"output_path": "s3://products/a.mp4", "output_conn_id": "storage_down"},
    ),
    Situation(
        "upload_dropped",
        BEFORE,
        "the upload of an image gets no answer",
        UPLOAD_AGAIN,
        [{"on": "upload", "drop": "after"}],
        {"start_image_url": "{{ var.value.clips }}/mug.png"},
    ),
    Situation(
        "upload_unreadable",
        BEFORE,
        "the upload of an image gets an unreadable answer",
        UPLOAD_AGAIN,
        [{"on": "upload", "body": "html"}],
        {"start_image_url": "{{ var.value.clips }}/mug.png"},
    ),
    Situation(
        "record_down",
        BEFORE,
        "the storage of `[segmind] records_path` cannot be reached",
        STORAGE_BACK,
        options={
            "AIRFLOW__SEGMIND__RECORDS_PATH": "s3://records/",
            "AIRFLOW__SEGMIND__RECORDS_CONN_ID": "storage_down",
        },
    ),
    Situation(
        "spending",
        BEFORE,
        "`max_cost` does not allow the request",
        "Raise the limit, then clear the task.",
        (),
        {"max_cost": 0.5},
    ),
    _submit("submit_400", "400", CHECK_PARAMETERS, status=400),
    _submit("key_missing", "401, no key", FIX_KEY, status=401, cause="missing"),
    _submit("key_rejected", "401, the key is rejected", FIX_KEY, status=401, cause="rejected"),
    _submit("submit_403", "403", ASK_TEAM, status=403),
    _submit("submit_404", "404", "Correct the model's slug.", status=404),
    _submit("submit_405", "405, as a web page", CHECK_PARAMETERS, status=405),
    _submit("credits", "406, no credits", "Top up the account, then clear the task.", status=406, cause="credits"),
    _submit("parameter", "406, a parameter", CHECK_PARAMETERS, status=406, cause="parameter"),
    _submit("spend_limit", "406, spend limit", ASK_TEAM, status=406, cause="spend_limit"),
    _submit("content_type", "406, content type", CHECK_PARAMETERS, status=406, cause="content_type"),
    _submit("submit_410", "410", "Choose another model.", status=410),
    _submit("limited", "429", NOTHING, status=429, reset_in=1, count=1),
    Situation(
        "limited_long",
        SUBMIT,
        "429 until `timeout`",
        "Set `requests_per_minute` in the connection, or raise `timeout`.",
        [{"on": "submit", "status": 429, "reset_in": 30}],
        {"timeout": 1},
    ),
    _submit("submit_500", "500 or 503 in Segmind's JSON, once", NOTHING, status=500, count=1),
    _submit(
        "submit_503",
        "500 or 503 in Segmind's JSON, each time",
        "If all attempts are used up, clear the task once Segmind works again.",
        status=503,
    ),
    _submit(
        "of_a_proxy",
        "502, or a 5xx that a proxy may have written; the request exists",
        NOTHING,
        status=503,
        body="html",
        accepted=True,
        count=1,
    ),
    _submit("lost", "504 or another lost answer; the request exists", NOTHING, status=504, accepted=True, count=1),
    _submit("dropped", "the connection drops; the request exists", NOTHING, drop="after", count=1),
    _submit("no_id", "2xx without a `request_id`", NOTHING, missing_request_id=True, count=1),
    _submit("no_json", "2xx, not JSON", NOTHING, body="not_json", count=1),
    _submit("never_arrived", "the connection drops; no request exists", NOTHING, drop="before", count=1),
    Situation(
        "lost_twice",
        SUBMIT,
        "the connection drops each time; no request exists",
        LOOK_IN_HISTORY,
        [{"on": "submit", "drop": "before"}],
    ),
    Situation(
        "lost_history", SUBMIT, "a lost answer, and the history is down", LOOK_IN_HISTORY, [LOST, HISTORY_DOWN]
    ),
    Situation(
        "resubmit",
        SUBMIT,
        'the same, with `on_unresolved_submit="resubmit"`',
        NOTHING,
        [LOST, HISTORY_DOWN],
        {"on_unresolved_submit": "resubmit"},
    ),
    Situation(
        "unreachable",
        SUBMIT,
        "Segmind cannot be reached",
        "If all attempts are used up, clear the task once Segmind can be reached.",
    ),
    Situation("untrusted", SUBMIT, "the TLS certificate is not trusted", FIX_BUNDLE),
    _waiting(
        "failed",
        "422, FAILED for a cause that may pass, once",
        NOTHING,
        {"on": "submit", "outcome": "failed", "error": "CUDA out of memory", "count": 1},
    ),
    _waiting(
        "blocked",
        "422, FAILED because of moderation",
        "Change the prompt or the image.",
        {"on": "submit", "outcome": "blocked"},
    ),
    _waiting(
        "rejected_input",
        "422, FAILED because of the input",
        CHECK_PARAMETERS,
        {"on": "submit", "outcome": "failed", "error": "Unsupported image format"},
    ),
    _waiting("status_503", "5xx for a while", NOTHING, {"on": "poll", "status": 503, "count": 2}),
    _waiting("status_429", "429 for a while", NOTHING, {"on": "poll", "status": 429, "reset_in": 1, "count": 1}),
    _waiting(
        "status_dropped",
        "dropped connections for a while",
        NOTHING,
        {"on": "poll", "drop": "before", "count": 2},
    ),
    _waiting("unreadable", "unreadable answers for a while", NOTHING, {"on": "poll", "body": "html", "count": 2}),
    Situation("expired", WAITING, "404, but the history has it", NOTHING, settings={"retention": 0.0}),
    _waiting(
        "gone",
        "404, and the history does not have it",
        "Look for the request in Segmind's history. Clearing the task pays for a new one.",
        {"on": "poll", "status": 404},
        {"on": "history_item", "status": 404},
    ),
    _waiting(
        "key_revoked",
        "401",
        "Correct the connection's password, then clear the task: it continues with the same request.",
        {"on": "poll", "status": 401},
    ),
    Situation(
        "untrusted_later",
        WAITING,
        "the TLS certificate is not trusted",
        FIX_BUNDLE,
        [STUCK],
        when_deferred="distrust",
    ),
    _waiting("too_slow", "not done at `timeout`", WAIT_OR_CLEAR, STUCK, timeout=1),
    _waiting("late_503", "503 until `timeout`", WAIT_OR_CLEAR, {"on": "poll", "status": 503}, timeout=1),
    _waiting(
        "late_429",
        "429 until `timeout`",
        WAIT_OR_CLEAR,
        {"on": "poll", "status": 429, "reset_in": 30},
        timeout=1,
    ),
    _waiting(
        "paused",
        "an unknown state until `timeout`",
        WAIT_OR_CLEAR,
        {"on": "submit", "outcome": "unknown_state", "state": "PAUSED"},
        timeout=1,
    ),
    _waiting(
        "no_result",
        "COMPLETED, but an unreadable result",
        WAIT_OR_CLEAR,
        {"on": "result", "body": "html"},
        timeout=1,
    ),
    _waiting(
        "no_video",
        "COMPLETED without a video",
        "Look at the XCom `result`. Clearing the task pays for a new request.",
        {"on": "result", "json": {"status": "COMPLETED", "output": None}},
    ),
    _output("breaks", "the download breaks off", NOTHING, {"on": "media", "drop": "midway", "count": 2}),
    _output("media_503", "the media host answers with errors", STORED_LATER, {"on": "media", "status": 503}),
    _output("web_page", "the media host sends a web page", STORED_LATER, {"on": "media", "body": "html"}),
    _output(
        "rejected",
        "the storage rejects the file",
        STORED_LATER,
        arguments=OF_BUCKET,
        when_deferred="delete_bucket",
    ),
    _output(
        "too_large",
        "the video exceeds `max_output_bytes`",
        "Raise `max_output_bytes` and clear the task: it stores the same video.",
        arguments={"max_output_bytes": 10},
    ),
    _output(
        "private",
        "the video is at a private address",
        "If that is meant, set `allow_private_media` in the connection and clear the task.",
        {"on": "result", "json": {"status": "COMPLETED", "output": "https://10.0.0.1/a.mp4"}},
    ),
    _output(
        "deleted",
        "the video is gone, after seven days",
        "Clear the task to pay for a new one.",
        {"on": "media", "status": 404},
    ),
    Situation(
        "found_unrecorded", UNRECORDED, "a lost answer; the request exists", NOTHING, [LOST], {"durable": False}
    ),
    Situation(
        "lost_unrecorded",
        UNRECORDED,
        "a lost answer, and the history is down",
        "Look for the request in Segmind's history: [what then](runbook.md#submitunresolvederror).",
        [LOST, HISTORY_DOWN],
        {"durable": False},
    ),
    Situation(
        "slow_unrecorded",
        UNRECORDED,
        "not done at `timeout`",
        "Wait with `SegmindRequestSensor`. Clearing the task pays for a new request.",
        [STUCK],
        {"durable": False, "timeout": 1},
    ),
    Situation(
        "media_unrecorded",
        UNRECORDED,
        "the output cannot be fetched or stored",
        "Fetch it from the URL in the XCom `summary`, within seven days. Clearing the task pays for a new one.",
        [{"on": "media", "status": 503}],
        {"durable": False, "output_path": "{{ var.value.clips }}/unrecorded.mp4"},
    ),
)


@dataclass
class Seen:
    """What a task did: which triggers it deferred to, and what ended its attempts."""

    deferrals: list[str] = field(default_factory=list)
    errors: list[SegmindError] = field(default_factory=list)


SEEN: dict[str, Seen] = {}
WHEN_DEFERRED: dict[str, Callable[[str], None]] = {}
"""What the test does at that moment, by the name that a situation gives it."""


class ObservedOperator(KlingImageToVideoOperator):
    """The operator as it is; what it does is written down."""

    def defer(self, *, trigger: Any, **arguments: Any) -> None:
        """Write down the trigger, and defer."""
        SEEN[self.task_id].deferrals.append(type(trigger).__name__)
        situation = next(each for each in SITUATIONS if each.key == self.task_id)
        if situation.when_deferred is not None:
            WHEN_DEFERRED[situation.when_deferred](self.task_id)
        super().defer(trigger=trigger, **arguments)

    def execute(self, context: Any) -> Any:
        """Write down the error, if there is one."""
        return self._observed(lambda: super(ObservedOperator, self).execute(context))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """Write down the error, if there is one."""
        resume = super().resume_execution
        return self._observed(lambda: resume(next_method, next_kwargs, context))

    def _observed(self, run: Callable[[], Any]) -> Any:
        options = next(each.options for each in SITUATIONS if each.key == self.task_id)
        try:
            # Not without options: it would undo what a situation changes when the task defers.
            with patch.dict(os.environ, options) if options else nullcontext():
                return run()
        except TaskDeferred:
            raise
        except SegmindError as failure:
            SEEN[self.task_id].errors.append(failure)
            raise


def environment(name: str, value: str) -> None:
    """Set a connection while tasks run."""
    os.environ[f"AIRFLOW_CONN_{name.upper()}"] = value
