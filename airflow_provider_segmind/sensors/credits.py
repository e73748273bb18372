"""Wait until an account can pay for what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.arguments import amount, is_literal
from airflow_provider_segmind.compat import AirflowFailException, BaseSensorOperator, PokeReturnValue
from airflow_provider_segmind.exceptions import PASSING_TROUBLE, SegmindError
from airflow_provider_segmind.hooks.connection import DEFAULT_CONNECTION_ID
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.rendering import UntrustedValuesUnrendered

if TYPE_CHECKING:
    from airflow_provider_segmind.compat import Context


class SegmindCreditsSensor(UntrustedValuesUnrendered, BaseSensorOperator):
    """
    Wait until the account has enough credits: before a thousand tasks start that it cannot pay for.

    One task asks once for all, which is why this is a sensor and not an argument of the operators: each of a
    thousand mapped tasks would ask, and find the same balance that the others are about to spend. Asking is free.
    With ``soft_fail=True`` what follows is skipped when the time is up; ``timeout=0`` looks only once.

    XCom: the return value is the balance in USD.

    :param min_credits: The balance to wait for, in USD: about 0.91 for each Kling O1 video of five seconds.
    :param segmind_conn_id: A connection of the type ``segmind``.
    :param poke_interval: Seconds between looks. Default 300: a balance grows when somebody tops it up.
    :param mode: ``"reschedule"`` (default) holds no worker slot between looks; ``"poke"`` does.
    :param timeout: Seconds after which to give up. Default one day.
    """

    template_fields: Sequence[str] = ("min_credits", "segmind_conn_id")
    ui_color = "#e8e4fb"

    def __init__(
        self,
        *,
        min_credits: float | str,
        segmind_conn_id: str = DEFAULT_CONNECTION_ID,
        poke_interval: float = 300.0,
        mode: str = "reschedule",
        timeout: float = 86400.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, mode=mode, timeout=timeout, **kwargs)
        self.min_credits = min_credits
        self.segmind_conn_id = segmind_conn_id
        if is_literal(min_credits):
            amount("min_credits", min_credits)

    @cached_property
    def hook(self) -> SegmindHook:
        """The hook for this task's connection."""
        return SegmindHook(self.segmind_conn_id)

    def poke(self, context: Context) -> PokeReturnValue:
        """Look at the balance once; trouble that may pass is waited out."""
        try:
            wanted = amount("min_credits", self.min_credits)
            balance = self.hook.get_credits().balance
        except PASSING_TROUBLE as trouble:
            self.log.warning("Will look again: %s", trouble)
            return PokeReturnValue(is_done=False)
        except SegmindError as error:
            raise AirflowFailException(str(error)) from error
        self.log.info("The balance is %.2f USD, and %.2f are wanted", balance, wanted)
        return PokeReturnValue(is_done=balance >= wanted, xcom_value=balance)
