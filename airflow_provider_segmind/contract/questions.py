"""What single answers say of the world. Each function settles the fields that it names, or says why it cannot."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_provider_segmind.contract.findings import Finding, seen, unseen
from airflow_provider_segmind.contract.jobs import (
    ENDED,
    HISTORY,
    RefusedSubmit,
    Sightings,
    Submits,
    Submitted,
    find_row,
    history_rows,
    read_inputs,
    with_exact_end,
)
from airflow_provider_segmind.contract.pixel import png_data_url
from airflow_provider_segmind.contract.segmind import RESET_HEADER, ContractError, read_reset

if TYPE_CHECKING:
    from airflow_provider_segmind.contract.jobs import Pace
    from airflow_provider_segmind.contract.segmind import Segmind

_RETENTION_SECONDS = 3600
_ERROR_KEYS = ("error", "error_message", "detail", "message")
_MOST_STRANGERS = 5


def history_timing(sightings: Sightings) -> list[Finding]:
    """When the row came."""
    sightings = with_exact_end(sightings)
    seen_at, ended_at = sightings.row_seen_at, sightings.ended_at
    if seen_at is None:
        reason = f"No row of the job came in the time that it was waited for. {sightings.trouble}"
        return [unseen("history_rows", reason), unseen("history_lag", reason)]
    # A history that trails shows the states of a job one after the other, so a job that has ended as running.
    if ended_at is None or seen_at < ended_at or sightings.row_state not in ENDED:
        rows, lag = "at_once", seen_at - sightings.job.began if sightings.looks_while_running else 0.0
    elif not sightings.looks_while_running:
        reason = "The job had ended before the history was looked at"
        return [unseen("history_rows", reason), unseen("history_lag", reason)]
    else:
        rows, lag = "with_output", seen_at - ended_at if sightings.looks_since_end else 0.0
    missed = f"{sightings.looks_while_running} looks while it ran, {sightings.looks_since_end} after its end"
    evidence = (
        f"Looks that found no row of {sightings.job.model}: {missed}. The first row said {sightings.row_state}"
    )
    return [
        seen("history_rows", rows, evidence),
        seen(
            "history_lag", round(lag, 1), f"The row came {lag:.1f} s after that moment, as far as looks can tell"
        ),
    ]


def generations_lag(sightings: Sightings) -> Finding:
    """How long after its output a request is among the generations."""
    sightings = with_exact_end(sightings)
    if sightings.generation_seen_at is None or sightings.ended_at is None:
        return unseen(
            "generations_lag", "The clip did not get among the generations in the time that it was waited for"
        )
    lag = sightings.generation_seen_at - sightings.ended_at if sightings.generation_looks else 0.0
    return seen(
        "generations_lag", round(lag, 1), f"A clip came {lag:.1f} s after its output, as far as looks can tell"
    )


def history_created(first: Sightings, second: Sightings) -> Finding:
    """What `model_created` says, from two jobs of different length: clocks do not matter then."""
    name = "history_created"
    created = [_moment(each.row) for each in (first, second)]
    if first.ended_at is None or second.ended_at is None:
        return unseen(name, "The two jobs that it takes did not both end in time")
    if created[0] is None or created[1] is None:
        return unseen(name, "The rows of two jobs that it takes were not both seen, or have no `model_created`")
    apart = created[1] - created[0]
    accepted = second.job.began - first.job.began
    ended = second.ended_at - first.ended_at
    if abs(accepted - ended) < 0.5 * abs(first.ended_at - first.job.began):
        return unseen(name, "Both jobs took equally long")
    evidence = (
        f"Two jobs were submitted {accepted:.1f} s apart, ended {ended:.1f} s apart; the rows say {apart:.1f} s"
    )
    if abs(apart - ended) < abs(apart - accepted):
        return seen(name, "recorded", evidence)
    return seen(name, "accepted", evidence)


def history_inputs(sightings: Sightings) -> list[Finding]:
    """What the row shows of the inputs."""
    if sightings.row is None:
        reason = f"No row of the job came. {sightings.trouble}"
        return [unseen("history_media", reason), unseen("history_bodies", reason)]
    inputs, form = read_inputs(sightings.row)
    if inputs is None:
        reason = "`request_body` cannot be read"
        return [unseen("history_media", reason), unseen("history_bodies", reason)]
    bodies = seen("history_bodies", form, "Form of `request_body`")
    sent = sightings.job.sent
    media = next((name for name, value in sent.items() if str(value).startswith("http")), "")
    if not media or inputs.get("prompt") != sent["prompt"]:
        return [unseen("history_media", "The row does not show inputs that this model does not have"), bodies]
    shown = inputs.get(media)
    value = "as_sent" if shown == sent[media] else "missing" if shown is None else "rewritten"
    return [seen("history_media", value, f"The input `{media}` of {sightings.job.model} was a URL"), bodies]


def running_result(sightings: Sightings) -> list[Finding]:
    """What the gateway says of a result that is not there yet."""
    answer = sightings.running
    if answer is None:
        reason = f"No look at the result came while the job ran. {sightings.trouble}"
        return [unseen("running_status", reason), unseen("running_body", reason)]
    state = answer.fields.get("status")
    usable = isinstance(state, str) and bool(state)
    said = f"it says {state[:40]}" if isinstance(state, str) and state else "it has no usable state"
    evidence = f"{answer.describe()}; {said}"
    return [
        seen("running_status", answer.status, evidence),
        seen("running_body", "state" if usable else "error", evidence),
    ]


def ids(submitted: Submitted, sightings: Sightings) -> Finding:
    """How ids are written at the gateway and in the history."""
    dashed = "-" in submitted.request_id
    listed = str(sightings.row.get("request_id")) if sightings.row else ""
    evidence = f"Gateway: `{submitted.request_id}`. History: `{listed or 'no row'}`"
    if not dashed and "-" not in listed:
        return seen("ids", "hex", evidence)
    if dashed and listed and "-" not in listed:
        return seen("ids", "mixed", evidence)
    if dashed:
        return seen("ids", "dashes", evidence)
    return seen("ids", "dashes in the history only", evidence)


def optional_keys(sightings: Sightings) -> Finding:
    """Whether an answer about a request that has ended has its optional keys."""
    if sightings.ended is None:
        return unseen("optional_keys", "The job did not end in the time that it was waited for")
    if sightings.has_failed:
        return unseen("optional_keys", "The job failed")
    present = {"request_id", "status_url", "response_url"} & sightings.ended.fields.keys()
    evidence = f"Status of an ended job: {sightings.ended.describe()}"
    return seen("optional_keys", "present" if present else "absent", evidence)


def error_key(segmind: Segmind) -> Finding:
    """Where an error has its text."""
    answers = [
        segmind.get("gateway", f"/v2/requests/{uuid4()}/status"),
        segmind.post("gateway", f"/v2/no-such-model-{secrets.token_hex(4)}", {}),
    ]
    for answer in answers:
        key = next((key for key in _ERROR_KEYS if answer.fields.get(key)), None)
        if answer.status >= 400 and key is not None:
            is_object = key == "error_message" and isinstance(answer.fields[key], dict)
            return seen("error_key", "error_object" if is_object else key, answer.describe())
    return unseen("error_key", f"No error had a text: {', '.join(each.describe() for each in answers)}")


def upload_key(segmind: Segmind) -> Finding:
    """Where an upload has its URLs. It is a picture of one pixel, and stays in the account's storage."""
    answer = segmind.post("storage", "/upload-asset", {"data_urls": [png_data_url(1)]})
    key = next((key for key in ("file_urls", "urls") if isinstance(answer.fields.get(key), list)), None)
    if key is None:
        raise ContractError(f"the upload was answered {answer.describe()}")
    return seen("upload_key", key, answer.describe())


def catalogue(segmind: Segmind) -> list[Finding]:
    """How the catalogue is wrapped, and how it describes parameters."""
    answer = segmind.get("platform", "/inference-model-information/list")
    document = answer.document
    wrapped = {key: value for key, value in answer.fields.items() if isinstance(value, list)}
    key, entries = ("", document) if isinstance(document, list) else next(iter(wrapped.items()), ("", None))
    if not isinstance(entries, list):
        raise ContractError(f"the catalogue answered {answer.describe()}")
    forms = {"": "none", "models": "models"}
    described = [
        form
        for form in ("parameters_schema", "parameters")
        if any(isinstance(each, dict) and each.get(form) for each in entries)
    ]
    as_text = any(isinstance(each, dict) and isinstance(each.get("parameters_schema"), str) for each in entries)
    return [
        seen(
            "catalogue_key",
            forms.get(key, "details"),
            f"{len(entries)} models" + (f" under `{key}`" if key else ""),
        ),
        seen("catalogue_parameters", "schema_text" if as_text else described[0], "Key of the entries")
        if described
        else unseen("catalogue_parameters", "No entry describes its parameters"),
    ]


def history_owner(own: Segmind, teammate: Segmind | None, pace: Pace) -> Finding:
    """Whether the history has requests of teammates."""
    if teammate is None:
        return _strangers(own)
    submitted = Submits(teammate).submit_mock(0)
    if isinstance(submitted, RefusedSubmit):
        raise ContractError(f"the submit of the teammate was answered {submitted.answer.describe()}")
    until = time.monotonic() + pace.row_limit
    while find_row(teammate, submitted) is None:
        if time.monotonic() > until:
            return unseen("history_owner", "The teammate's own request did not get a row in time")
        own.pause(pace.pause)
    listed = find_row(own, submitted) is not None
    alone = own.get("platform", f"{HISTORY}/{submitted.request_id}")
    evidence = f"A teammate's request is {'' if listed else 'not '}in the list; alone: {alone.describe()}"
    return seen("history_owner", "team" if listed else "account", evidence)


def _strangers(own: Segmind) -> Finding:
    listed = list(dict.fromkeys(str(row["request_id"]) for row in history_rows(own) if row.get("request_id")))
    for request_id in listed[:: max(1, len(listed) // _MOST_STRANGERS)][:_MOST_STRANGERS]:
        answer = own.get("platform", f"{HISTORY}/{request_id}")
        if answer.status == 404:
            return seen("history_owner", "team", "A request in the list is not found alone: it is a teammate's")
    return unseen(
        "history_owner", "Set SEGMIND_TEAMMATE_API_KEY to the key of a teammate. All rows seen are one's own"
    )


def history_after_expiry(segmind: Segmind, sightings: Sightings, earlier: str | None) -> Finding:
    """What is left of a request after an hour."""
    name = "history_after_expiry"
    now = _moment(sightings.row)
    rows = history_rows(segmind, status="COMPLETED", sort_order="asc")
    if now is not None:
        old = [row for row in rows if (_moment(row) or now) < now - _RETENTION_SECONDS]
        if any(row.get("generation_url") for row in old):
            return seen(name, "complete", f"{len(old)} rows of more than an hour, with outputs")
        with_output = {row.get("model_name") for row in history_rows(segmind) if row.get("generation_url")}
        bare = [row for row in old if row.get("model_name") in with_output]
        if bare:
            return seen(name, "without_output", f"{len(bare)} rows of more than an hour have lost their outputs")
    if earlier:
        answer = segmind.get("platform", f"{HISTORY}/{earlier}")
        if answer.status == 404:
            return seen(name, "missing", f"An own request of more than an hour: {answer.describe()}")
    what = "Run again in an hour with EARLIER_REQUEST set to a request of this run"
    return unseen(
        name, f"{what}. To see whether outputs are kept, the account needs an older request with an output"
    )


def server_error(segmind: Segmind, submits: Submits, sightings: Sightings | None, pace: Pace) -> Finding:
    """Whether a submit that met a server error has left a job: only if there was one."""
    name = "server_error_leaves_job"
    if not submits.server_errors:
        return unseen(name, "No submit was answered with 5xx, and none can be provoked")
    inputs = read_inputs(sightings.row)[0] if sightings and sightings.row else None
    if inputs is None or "prompt" not in inputs:
        return unseen(name, "Rows do not show the inputs by which the job could be recognized")
    markers = {each.marker for each in submits.server_errors}
    statuses = ", ".join(f"HTTP {each.answer.status}" for each in submits.server_errors)
    until = time.monotonic() + pace.sleep + pace.row_limit / 4
    while time.monotonic() < until:
        found = [row for row in history_rows(segmind, "mock-inference") if _prompt(row) in markers]
        if found:
            return seen(name, True, f"Submits were answered {statuses}; the history has {len(found)} of them")
        segmind.pause(pace.pause)
    return seen(name, False, f"Submits were answered {statuses}; the history has none of them")


def no_credits(refused: RefusedSubmit | None) -> Finding:
    """How a submit is refused that the balance does not cover."""
    if refused is not None and refused.lacks_credits:
        return seen("no_credits_status", refused.answer.status, refused.answer.describe())
    return unseen(
        "no_credits_status", "Ask with the key of an account without credits: a higher price might be charged"
    )


def reset_format(segmind: Segmind) -> Finding:
    """How the reset of the rate limit is written."""
    if segmind.reset_headers:
        text = segmind.reset_headers[-1]
        read = read_reset(text)
        return seen("reset_format", read[0] if read else "another form", f"`{RESET_HEADER}: {text[:60]}`")
    if segmind.limited:
        return seen("reset_format", "none", f"HTTP 429 without `{RESET_HEADER}`")
    return unseen("reset_format", "No answer had the header; EXHAUST=1 asks until one is HTTP 429")


def _moment(row: dict[str, Any] | None) -> float | None:
    read = read_reset(str(row.get("model_created"))) if row else None
    return read[1] if read else None


def _prompt(row: dict[str, Any]) -> str:
    inputs, _ = read_inputs(row)
    return str(inputs.get("prompt")) if inputs else ""
