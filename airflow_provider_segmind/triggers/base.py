"""What the three triggers share: arguments that another version may have written, and a single event."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Mapping
from sys import intern
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_segmind.api.forms import MOMENT, SIZE, TEXT, Form
from airflow_provider_segmind.api.text import first_names
from airflow_provider_segmind.exceptions import SegmindError
from airflow_provider_segmind.hooks.names import DEFAULT_CONNECTION_ID
from airflow_provider_segmind.triggers.deferral import held_event
from airflow_provider_segmind.triggers.events import broken_off

if TYPE_CHECKING:
    from airflow_provider_segmind.api.rate_limited_submit import RateLimitedSubmit
    from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit

log = logging.getLogger(__name__)


class SegmindTrigger(BaseTrigger):
    """
    A wait in the triggerer that ends with exactly one event.

    Airflow keeps the arguments in its database while a task is deferred, and builds the trigger with
    ``cls(**kwargs)``. The triggerer survives a TypeError of that constructor; any other error ends it, and with it
    every wait in it. So the constructor raises nothing, and ignores arguments that this version does not know. If
    an argument is wrong, the event has the error.

    :param arguments: All arguments by their names, and the version of their form, see docs/upgrades.md.
    :param unknown: Arguments that this version does not know.
    :ivar trouble: What is wrong with the arguments; None if nothing is.
    :ivar segmind_conn_id: A connection of the type ``segmind``.
    :ivar earliest_event: When the event may come at the earliest, in seconds since the epoch: see
        :func:`~airflow_provider_segmind.triggers.deferral.earliest_event`.
    :ivar attempt: The task's ``try_number`` when it was deferred: see
        :func:`~airflow_provider_segmind.triggers.events.is_for_an_earlier_attempt`. 0 if it is not known.
    """

    VERSION: ClassVar[int] = 1
    trouble: SegmindError | None = None

    def __init__(self, arguments: dict[str, Any], unknown: Mapping[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if unknown:
            names = ", ".join(first_names(unknown))
            log.debug("%s ignores arguments that this version does not know: %s", type(self).__name__, names)
        try:
            form = Form(arguments, "the trigger cannot be read from Airflow's database", self.VERSION)
            self.earliest_event = form.optional("earliest_event", MOMENT, 0.0)
            self.attempt = form.optional("attempt", SIZE, 0)
            # Copies of the same words would take a hundredth of the memory of a thousand triggers.
            self.segmind_conn_id = intern(form.optional("segmind_conn_id", TEXT, DEFAULT_CONNECTION_ID))
            self._read(form)
        except SegmindError as error:
            self.trouble, self._arguments = error, arguments
            self.earliest_event = MOMENT.read(arguments["earliest_event"]) or 0.0
            self.attempt = SIZE.read(arguments["attempt"]) or 0
            self.segmind_conn_id = DEFAULT_CONNECTION_ID
            self._read_nothing(error, time.time())

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and all that is needed to continue in another process."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        if self.trouble is not None:
            return path, {**self._arguments, "earliest_event": self.earliest_event, "attempt": self.attempt}
        return path, {
            "version": self.VERSION,
            "segmind_conn_id": self.segmind_conn_id,
            **self._wait_as_json(),
            "earliest_event": self.earliest_event,
            "attempt": self.attempt,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: at the end of the wait, whatever ends it."""
        if self.trouble is not None:
            event = self._event_of_trouble(self.trouble)
        else:
            try:
                event = self._event(await self._wait())
            except SegmindError as error:
                event = self._event_of_error(error)
            except Exception as error:
                self.log.exception("The trigger broke off")
                event = self._event_of_error(broken_off("the wait in the triggerer", error))
        yield await held_event({**event, "attempt": self.attempt}, self.earliest_event)

    @property
    @abstractmethod
    def latest_end(self) -> float:
        """When the wait is over at the latest, in seconds since the epoch."""

    @abstractmethod
    def _read(self, form: Form) -> None:
        """Keep what to wait for; a SegmindError says what is wrong with it."""

    @abstractmethod
    def _read_nothing(self, error: SegmindError, now: float) -> None:
        """Keep what stands for arguments that cannot be read."""

    @abstractmethod
    def _wait_as_json(self) -> dict[str, Any]:
        """Return what to wait for, as the constructor takes it."""

    @abstractmethod
    def _wait(self) -> Awaitable[Any]:
        """Return the wait itself: a coroutine around it would take memory in every trigger that waits."""

    @abstractmethod
    def _event(self, outcome: Any) -> dict[str, Any]:
        """Return the event of a wait that has come to its outcome."""

    @abstractmethod
    def _event_of_error(self, error: SegmindError) -> dict[str, Any]:
        """Return the event of a wait that an error has ended."""

    @abstractmethod
    def _event_of_trouble(self, trouble: SegmindError) -> dict[str, Any]:
        """Return the event of a trigger whose arguments cannot be read."""


class SubmitTrigger(SegmindTrigger):
    """
    A wait of a task that has no request yet, for the sake of its submit.

    :param segmind_conn_id: A connection of the type ``segmind``.
    :param submit: The submit, as its ``as_json`` writes it.
    :param version: Of these arguments, see docs/upgrades.md.
    :param earliest_event: When the event may come at the earliest, in seconds since the epoch. Default at once.
    :param attempt: The ``try_number`` of the task that waits.
    """

    submit: UnresolvedSubmit | RateLimitedSubmit

    def __init__(
        self,
        segmind_conn_id: str | None = None,
        submit: dict[str, Any] | None = None,
        version: int = SegmindTrigger.VERSION,
        earliest_event: float = 0.0,
        attempt: int = 0,
        **unknown: Any,
    ) -> None:
        arguments = {
            "segmind_conn_id": segmind_conn_id,
            "submit": submit,
            "earliest_event": earliest_event,
            "attempt": attempt,
            "version": version,
        }
        super().__init__(arguments, unknown)

    def _wait_as_json(self) -> dict[str, Any]:
        return {"submit": self.submit.as_json()}
