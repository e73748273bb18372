"""What the end of a request means for an Airflow task: its XComs, or its failure."""

from __future__ import annotations

import logging
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, cast

from airflow_provider_segmind.api.answers import DATABASE_LIMIT
from airflow_provider_segmind.compat import AirflowException, AirflowFailException, AirflowSensorTimeout
from airflow_provider_segmind.exceptions import (
    SENSOR,
    DownloadError,
    OutputError,
    OutputGoneError,
    OutputNotStoredError,
    RequestExpiredError,
    RequestFailedError,
    RequestTimeoutError,
    SegmindError,
    SpendingLimitError,
    SubmitUnresolvedError,
    UnusableOutputError,
    runbook,
    still_running,
)
from airflow_provider_segmind.lineage.summary import SUMMARY_KEY, summary_of, summary_of_kept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.compat import Context
    from airflow_provider_segmind.lineage.delivered import Delivered
    from airflow_provider_segmind.media.stored import ExistingOutput

REQUEST_ID_KEY = "request_id"
RESULT_KEY = "result"

VARIABLE = "segmind_abandon_request"
"""The Airflow variable that names what tasks are to give up, if they do not say so themselves."""

RETRY_PAYS_AGAIN = f"A retry would pay for a second one: wait for it with {SENSOR}."

_CONTINUES = "A retry, or the cleared task, continues with what was submitted and pays nothing more"
_CONTINUES_UNTIL_CLEARED = (
    "A retry continues with what was submitted and pays nothing more. So does the cleared task if you keep its "
    "state (keep_task_state); otherwise it would pay for a second one"
)
_AT_THE_OUTPUT = "as long as output_path names the same folder, which has the task's record"

_GOES_ON = (RequestTimeoutError, SubmitUnresolvedError, DownloadError, OutputNotStoredError)
_NOTHING_TO_CONTINUE_WITH = (
    RequestFailedError,
    RequestExpiredError,
    UnusableOutputError,
    OutputGoneError,
    SpendingLimitError,
)

log = logging.getLogger(__name__)


class Memory(Enum):
    """For how long a task knows which request it has paid for: what another attempt would cost."""

    NONE = "for one attempt"
    RETRIES = "until the task is cleared"
    OUTPUT = "also after a clear, next to the output"
    CLEARS = "also after a clear"

    @property
    def continuation(self) -> str:
        """What a user may do next about a request that is paid for, or may be, and not delivered."""
        return {
            Memory.NONE: RETRY_PAYS_AGAIN,
            Memory.RETRIES: f"{_CONTINUES_UNTIL_CLEARED}.",
            Memory.OUTPUT: f"{_CONTINUES}, {_AT_THE_OUTPUT}.",
            Memory.CLEARS: f"{_CONTINUES}.",
        }[self]

    @property
    def clearing(self) -> str:
        """What a cleared task does about such a request, if a retry is no choice."""
        return {
            Memory.NONE: "Clearing the task would pay for a new one.",
            Memory.RETRIES: (
                "The cleared task continues with it and pays nothing more if you keep its state "
                "(keep_task_state); otherwise it would pay for a new one."
            ),
            Memory.OUTPUT: f"The cleared task continues with it and pays nothing more, {_AT_THE_OUTPUT}.",
            Memory.CLEARS: "The cleared task continues with it and pays nothing more.",
        }[self]

    def giving_up(self, name: str | None) -> str:
        """
        Return how a user gives up what was submitted, to pay for another; empty if a clear pays in any case.

        :param name: Of the request or the submit, as ``abandon_request`` takes it.
        """
        if self is Memory.NONE or name is None:
            return ""
        if self is Memory.RETRIES:
            return "To give it up and pay for another, clear the task without its state."
        return (
            "To give it up and pay for another, set the task's abandon_request, or the Airflow variable "
            f"{VARIABLE}, to {name} and clear the task."
        )


def push_request_id(context: Context, request_id: str) -> None:
    """
    Push the id under ``request_id``: the way back to what was paid for.

    It is not like the other XComs: if it cannot be pushed, the task fails before it waits.
    """
    context["ti"].xcom_push(key=REQUEST_ID_KEY, value=request_id)


def push_summary(context: Context, delivered: Delivered, **of_the_file: Any) -> bool:
    """
    Push what is worth knowing of a request under ``summary``, in 16 KiB at most.

    :param of_the_file: What is known of the one file of a request beside its URL.
    :return: Whether the URL of a file can be found there.
    """
    summary = summary_of(delivered, **of_the_file)
    pushed = _push(context, SUMMARY_KEY, summary, delivered.result.request_id)
    return pushed and any("url" in file for file in summary["files"])


def push_summary_of_kept(
    context: Context, model: str | None, request_id: str | None, outputs: Sequence[ExistingOutput]
) -> None:
    """Push under ``summary`` what is known of files that were there before the task began."""
    about = request_id or "none"
    _push(context, SUMMARY_KEY, summary_of_kept(model, request_id, outputs), about)


def push_result(context: Context, result: RequestReport) -> None:
    """
    Push the whole answer under ``result``, if it has 64 KiB of JSON at most.

    Cutting it would leave something that is neither the answer nor plainly a part of it.
    """
    size = result.size
    if size > DATABASE_LIMIT:
        log.warning(
            "Request %s: its result has %d bytes and is not pushed to XCom, which gets %d at most",
            result.request_id,
            size,
            DATABASE_LIMIT,
        )
    else:
        _push(context, RESULT_KEY, result.body, result.request_id)


def _push(context: Context, key: str, value: dict[str, Any], request_id: str) -> bool:
    """
    Push what a task can do without, and return whether it is there.

    No error leaves here: the request is paid for, and its output has still to be delivered.
    """
    try:
        context["ti"].xcom_push(key=key, value=value)
    except Exception:
        log.exception("Request %s: continuing without the XCom %s, which could not be pushed", request_id, key)
        return False
    return True


def task_failure(
    error: SegmindError, *, memory: Memory = Memory.NONE, summarized: bool = False, may_be_paid: bool = False
) -> Exception:
    """
    Return the exception to raise from a task: one that ends it at once where no retry can help.

    Either way it is of the error's class, so that a callback, or whatever else gets it, can tell errors apart.

    :param memory: For how long the task knows the request, and so pays for no other.
    :param summarized: Whether the XCom ``summary`` has the URL of the output.
    :param may_be_paid: Whether a request was accepted, or may have been. Where nothing is remembered, a retry
        would pay for a second one, however soon the trouble passes. A FAILED request is not charged.
    """
    if isinstance(error, ErrorForAirflow):
        return error
    if isinstance(error, SubmitUnresolvedError):
        airflow_class = AirflowFailException if memory is Memory.NONE or error.is_ambiguous else AirflowException
        return error_for_airflow(error, f"{error.text} {_what_to_do_when_found(error, memory)}", airflow_class)
    if memory is not Memory.NONE and isinstance(error, _GOES_ON):
        giving_up = memory.giving_up(error.request_id) if isinstance(error, RequestTimeoutError) else ""
        return error_for_airflow(
            error, f"{error.text} {memory.continuation} {giving_up}".rstrip(), AirflowException
        )
    would_pay_again = may_be_paid and memory is Memory.NONE and not isinstance(error, RequestFailedError)
    if error.can_retry and not would_pay_again:
        return error
    if error.can_retry:
        message = f"{error.text} {still_running(RETRY_PAYS_AGAIN, error.request_id)}"
    else:
        message = f"{error.text} {_what_clearing_costs(error, memory, summarized)}".rstrip()
    return error_for_airflow(error, message, AirflowFailException)


def raise_task_failure(
    error: SegmindError, *, memory: Memory = Memory.NONE, summarized: bool = False, may_be_paid: bool = False
) -> NoReturn:
    """
    Raise what ``task_failure`` makes of an error.

    An error that stays as it is must not become its own cause: what prints a chain of causes would never end.
    """
    failure = task_failure(error, memory=memory, summarized=summarized, may_be_paid=may_be_paid)
    if failure is error:
        raise error
    raise_in_place_of(error, failure)


class ErrorForAirflow:
    """
    What an error is that is of one of Airflow's classes, too: Airflow decides by it what becomes of the task.

    ``str()`` may say more than the error's own text, such as what a retry or a cleared task would cost, before the
    link to the runbook.
    """

    _error_class: ClassVar[type[SegmindError]]
    _airflow_class: ClassVar[type[AirflowException]]
    message: str

    def __str__(self) -> str:
        return f"{self.message} {runbook(self._error_class.__name__)}"

    def __reduce__(self) -> tuple[Any, ...]:
        error = cast("SegmindError", self)
        return _make, (self._error_class, self._airflow_class, error.args, self.__dict__)

    def serialize(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """Return how Airflow writes an exception down: it can import none but its own class."""
        kind = self._airflow_class
        return f"{kind.__module__}.{kind.__name__}", (str(self),), {}


def error_for_airflow(error: SegmindError, message: str, airflow_class: type[AirflowException]) -> Exception:
    """
    Return an exception that is of an error's class and of one of Airflow's, and is the same otherwise.

    :param message: What it says from now on, without the link to the runbook.
    """
    return _make(type(error), airflow_class, error.args, {**error.__dict__, "message": message})


def raise_in_place_of(error: SegmindError, failure: Exception) -> NoReturn:
    """
    Raise what stands for an error, with its traceback and its cause.

    The error itself is not the cause: a log would show the same class and nearly the same words twice.
    """
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    raise failure.with_traceback(error.__traceback__) from cause


def _make(
    error_class: type[Any], airflow_class: type[Any], args: tuple[Any, ...], state: Mapping[str, Any]
) -> Exception:
    class_of_both = _class_of_both(error_class, airflow_class)
    failure = class_of_both.__new__(class_of_both, *args)
    failure.__dict__.update(state)
    return failure


def _class_of_both(error_class: type[Any], airflow_class: type[Any]) -> type[Exception]:
    """Return the class of what is of both classes. It has the error's name, which logs and metrics show."""
    known = _CLASSES_OF_BOTH.get((error_class, airflow_class))
    if known is not None:
        return known
    names = {name: getattr(error_class, name) for name in ("__module__", "__qualname__", "__doc__")}
    classes = {"_error_class": error_class, "_airflow_class": airflow_class}
    can_retry = not issubclass(airflow_class, (AirflowFailException, AirflowSensorTimeout))
    bases = (ErrorForAirflow, error_class, airflow_class)
    return _CLASSES_OF_BOTH.setdefault(
        (error_class, airflow_class),
        type(error_class.__name__, bases, {**names, **classes, "can_retry": can_retry}),
    )


_CLASSES_OF_BOTH: dict[tuple[type[Any], type[Any]], type[Exception]] = {}
"""One for each kind of error that a task has raised, and each class of Airflow with it."""


def _what_clearing_costs(error: SegmindError, memory: Memory, summarized: bool) -> str:
    if isinstance(error, (RequestExpiredError, UnusableOutputError)):
        return "Clearing the task pays for a new one."
    if isinstance(error, _NOTHING_TO_CONTINUE_WITH):
        return ""
    if isinstance(error, OutputError) and memory is Memory.NONE:
        where = (
            "the URL of this one is in the XCom `summary`" if summarized else "this one is in Segmind's history"
        )
        return f"Clearing the task would pay for a new one; {where}."
    is_paid = error.request_id is not None or isinstance(error, (OutputError, RequestTimeoutError))
    return memory.clearing if is_paid else ""


def _what_to_do_when_found(error: SubmitUnresolvedError, memory: Memory) -> str:
    """Return what a user who has looked in the history does next."""
    if memory is Memory.NONE:
        return f"If it is there, wait for it with {SENSOR}; if it is not, clear the task, which submits a new one."
    if error.is_ambiguous:
        found = f"If one of them is this task's, wait for it with {SENSOR}. If none is, give it up."
    else:
        found = f"If it is there, clear the task. {memory.continuation} If it is not there, give it up."
    return f"{found} {memory.giving_up(error.submit)}".rstrip()
