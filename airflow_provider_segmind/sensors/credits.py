"""Wait until an account can pay for what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Unpack

from airflow_provider_segmind.arguments import amount, is_literal
from airflow_provider_segmind.compat import PokeReturnValue, is_mapped_instance
from airflow_provider_segmind.exceptions import PASSING_TROUBLE, SegmindError
from airflow_provider_segmind.hooks.names import DEFAULT_CONNECTION_ID
from airflow_provider_segmind.sensors.base import SegmindBaseSensorOperator

if TYPE_CHECKING:
    from airflow_provider_segmind.compat import Context, XComArg
    from airflow_provider_segmind.signatures import SensorArguments


class SegmindCreditsSensor(SegmindBaseSensorOperator):
    """
    Wait until the account has enough credits: before a thousand tasks start that it cannot pay for.

    One task asks once for all, which is why this is a sensor and not an argument of the operators: each of a
    thousand mapped tasks would ask, and find the same balance that the others are about to spend. Asking is free.
    With ``soft_fail=True`` the task, and with it what follows, is skipped when the time is up or the key is
    rejected; ``timeout=0`` polls only once. See
    :class:`~airflow_provider_segmind.sensors.base.SegmindBaseSensorOperator`.

    Templated are ``min_credits`` and ``segmind_conn_id``. All others are values.

    XCom: the return value is the balance in USD.

    :param min_credits: The balance to wait for, in USD: about 0.91 for each Kling O1 video of five seconds.
    :param segmind_conn_id: A connection of the type ``segmind`` (docs/connection.md).
    :param mode: ``"reschedule"`` frees the worker slot between polls; ``"poke"`` holds it.
    :param poke_interval: Seconds between polls. Default 300: a balance grows when somebody tops it up.
    :param exponential_backoff: Wait longer from poll to poll, from ``poke_interval`` on.
    :param max_wait: The longest pause between polls, in seconds or as a timedelta, with ``exponential_backoff``.
    :param timeout: Seconds after which to give up; 0 polls once. Default one day.
    :param soft_fail: Skip the task when it would fail for good.
    :param never_fail: Skip the task after any error.
    :param kwargs: What every task of Airflow takes, such as ``task_id``, ``retries`` and ``pool``.
    """

    template_fields: Sequence[str] = ("min_credits", "segmind_conn_id")
    ui_color = "#e8e4fb"

    def __init__(
        self,
        *,
        min_credits: float | str | XComArg,
        segmind_conn_id: str | XComArg = DEFAULT_CONNECTION_ID,
        mode: Literal["poke", "reschedule"] = "reschedule",
        poke_interval: float | timedelta = 300.0,
        exponential_backoff: bool = False,
        max_wait: float | timedelta | None = None,
        timeout: float | timedelta = 86400.0,
        soft_fail: bool = False,
        never_fail: bool = False,
        **kwargs: Unpack[SensorArguments],
    ) -> None:
        super().__init__(
            mode=mode,
            poke_interval=poke_interval,
            exponential_backoff=exponential_backoff,
            max_wait=max_wait,
            timeout=timeout,
            soft_fail=soft_fail,
            never_fail=never_fail,
            **kwargs,
        )
        self.min_credits: Any = min_credits
        self.segmind_conn_id: Any = segmind_conn_id
        if not is_mapped_instance(self):
            self._check_literals()

    def _check_literals(self) -> None:
        """Check what is known when the DAG is parsed."""
        if is_literal(self.min_credits):
            amount("min_credits", self.min_credits)

    def poke(self, context: Context) -> PokeReturnValue:
        """Ask for the balance once; errors that may pass are waited out."""
        try:
            wanted = amount("min_credits", self.min_credits)
            balance = self.hook.get_credits().balance
        except PASSING_TROUBLE as trouble:
            self.log.warning("Will check again: %s", trouble.facts)
            return PokeReturnValue(is_done=False)
        except SegmindError as error:
            self.fail(error)
        self.log.info("The balance is %.2f USD; waiting for %.2f USD", balance, wanted)
        return PokeReturnValue(is_done=balance >= wanted, xcom_value=balance)
