"""The event trigger of an asset that changes whenever a request of an account ends: for ``AssetWatcher``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow.triggers.base import TriggerEvent

from airflow_provider_segmind.api.checks import check_model
from airflow_provider_segmind.api.moments import read_moment
from airflow_provider_segmind.api.text import first_names
from airflow_provider_segmind.api.values import read_number
from airflow_provider_segmind.compat import event_trigger_class, has_event_triggers
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.hooks.names import DEFAULT_CONNECTION_ID

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger

    from airflow_provider_segmind.watching.watch import Watch
else:
    BaseEventTrigger = event_trigger_class()

VERSION = 1
"""Of the arguments that Airflow stores; see docs/upgrades.md."""

DEFAULT_POLL_INTERVAL = 60.0
LEAST_POLL_INTERVAL = 1.0
MOST_POLL_INTERVAL = 86_400.0

STATES = ("COMPLETED", "FAILED")


class SegmindRequestEndedTrigger(BaseEventTrigger):
    """
    Report each request of an account that ends, once, whoever submitted it. For an ``AssetWatcher``.

    It reads Segmind's request history, and never submits. The page docs/howto/asset-watcher.md says what an event
    has, and what may be lost when a triggerer dies.

    Airflow runs one trigger for all watchers with the same arguments.

    :param model: The slug of a model, to report its requests alone. Default: those of all models.
    :param states: ``COMPLETED``, ``FAILED`` or both. Default: ``COMPLETED`` alone.
    :param poll_interval: Seconds between two looks at the history, 1 to 86,400. Default 60. A look takes one call,
        if the last two hours have at most 100 requests or nothing has changed.
    :param since: Where nothing was reported yet: report the requests that were made since this moment, a datetime
        or a text in ISO 8601 with a time zone. The history goes back 30 days. Default: those that end from now on.
    :param segmind_conn_id: A connection of the type ``segmind``, of the account.
    :param version: Of these arguments: Airflow's triggerer gives it.
    """

    def __init__(
        self,
        model: str | None = None,
        states: Sequence[Literal["COMPLETED", "FAILED"]] = ("COMPLETED",),
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        since: datetime | str | None = None,
        segmind_conn_id: str = DEFAULT_CONNECTION_ID,
        version: int | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.trouble: InvalidParameterError | None = None
        self._arguments: dict[str, Any] = {
            "version": VERSION if version is None else version,
            "model": model,
            "states": states,
            "poll_interval": poll_interval,
            "since": since,
            "segmind_conn_id": segmind_conn_id,
        }
        try:
            self._arguments |= _checked(self._arguments)
            if unknown and version is None:
                names = ", ".join(first_names(unknown))
                raise InvalidParameterError(names, "SegmindRequestEndedTrigger has no such argument")
        except InvalidParameterError as error:
            # A DAG file fails at once. In a triggerer, the error would stop the whole process.
            if version is None:
                raise
            self.trouble = error

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, which stay the same: Airflow tells triggers apart by them."""
        return f"{type(self).__module__}.{type(self).__qualname__}", dict(self._arguments)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Yield an event for each request that ends.

        It never returns and never raises: Airflow would start it again at once, and so for ever.
        """
        if self.trouble is not None:
            self.log.error("This watch does not run. Correct the DAG file: %s", self.trouble)
            await asyncio.Event().wait()
        watch, homes, identity = await asyncio.to_thread(self._watch)
        store = getattr(self, "asset_state_store", None)
        async for report in watch.reports(lambda: homes.choose_home(identity, store)):
            yield TriggerEvent(report)

    def _watch(self) -> tuple[Watch, Any, str]:
        """Return the watch, and what says where its watermark is kept. Import what a DAG file does not need."""
        from airflow_provider_segmind.api.account_look import Watched
        from airflow_provider_segmind.watching import homes
        from airflow_provider_segmind.watching.watch import Watch

        arguments = self._arguments
        since = read_moment(arguments["since"])
        watch = Watch(
            arguments["segmind_conn_id"],
            Watched(tuple(arguments["states"]), arguments["model"]),
            arguments["poll_interval"],
            since.timestamp() if since is not None else None,
        )
        # Not the poll interval: who changes it goes on where he was.
        names = ("segmind_conn_id", "model", "states", "since")
        return watch, homes, homes.identity_of({name: arguments[name] for name in names})


def _checked(arguments: dict[str, Any]) -> dict[str, Any]:
    """
    Return the arguments in the form in which they are stored.

    :raises InvalidParameterError: If one is wrong, or the installed Airflow has no event triggers.
    """
    if not has_event_triggers():
        raise InvalidParameterError(
            "AssetWatcher",
            "needs Airflow 3.0 or later. Before, let the task that submits have the asset in its outlets",
        )
    if arguments["model"] is not None:
        check_model(arguments["model"])
    states = arguments["states"]
    if not isinstance(states, (list, tuple)) or not states or not set(map(str, states)) <= set(STATES):
        raise InvalidParameterError(
            "states", f"must be a list of {' and '.join(STATES)}, or of one of them, not {states!r}"
        )
    interval = arguments["poll_interval"]
    seconds = None if isinstance(interval, str) else read_number(interval, LEAST_POLL_INTERVAL, MOST_POLL_INTERVAL)
    if seconds is None:
        raise InvalidParameterError(
            "poll_interval", f"must be a number of seconds from 1 to 86400, such as 60, not {interval!r}"
        )
    conn_id = arguments["segmind_conn_id"]
    if not isinstance(conn_id, str) or not conn_id.strip():
        raise InvalidParameterError("segmind_conn_id", f"must be the id of a connection, not {conn_id!r}")
    return {
        "states": [state for state in STATES if state in states],
        "poll_interval": float(seconds),
        "since": _since(arguments["since"]),
    }


def _since(value: object) -> str | None:
    if value is None:
        return None
    aware = isinstance(value, datetime) and value.tzinfo is not None
    moment = value.astimezone(UTC) if isinstance(value, datetime) and aware else None
    if isinstance(value, str):
        moment = read_moment(value)
    if moment is None:
        raise InvalidParameterError(
            "since",
            f"must be a datetime with a time zone, or a text such as '2026-11-01T00:00:00Z', not {value!r}",
        )
    return moment.isoformat()
