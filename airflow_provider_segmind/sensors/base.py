"""How the sensors of this provider end: alike in every mode, and on every version of Airflow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_segmind.compat import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    is_deferral_timeout,
)
from airflow_provider_segmind.exceptions import (
    DownloadError,
    OutputNotStoredError,
    RequestFailedError,
    SegmindError,
)
from airflow_provider_segmind.hooks.task_hook import WithSegmindHook
from airflow_provider_segmind.rendering import UntrustedValuesUnrendered

if TYPE_CHECKING:
    from airflow_provider_segmind.compat import Context


class SegmindBaseSensorOperator(WithSegmindHook, UntrustedValuesUnrendered, BaseSensorOperator):
    """
    A sensor that applies ``soft_fail`` and ``never_fail`` to every end of its wait.

    Airflow applies them to what ``poke`` raises, but not to every other end. After a deferral, 2.11 and 3.0 ignore
    ``never_fail``, and 3.0 ignores ``soft_fail`` if the deferral has timed out. In the other modes, every version
    ignores ``never_fail`` when the time is up. Here the task is skipped in all of these cases, and the message has
    the reason.

    * ``soft_fail=True`` skips the task when it would fail for good: the time is up, the request has failed, an
      argument is wrong, the deferral has broken off. A bug still fails it.
    * ``never_fail=True`` skips it after any error.
    """

    def execute(self, context: Context) -> Any:
        """Wait, and end as ``soft_fail`` and ``never_fail`` say."""
        with self._skipping():
            return self.wait(context)

    def wait(self, context: Context) -> Any:
        """Wait as ``mode`` says."""
        return super().execute(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Take up the task again after a deferral. Whatever has ended that, a retry of a sensor costs nothing."""
        from airflow_provider_segmind.triggers.events import is_for_an_earlier_attempt  # not to parse a DAG

        if is_for_an_earlier_attempt(next_kwargs, context):
            return self.execute(context)
        with self._skipping():
            try:
                # Not the method of BaseSensorOperator: versions differ in what that makes of an error.
                return super(BaseSensorOperator, self).resume_execution(next_method, next_kwargs, context)
            except AirflowException as error:
                if next_method != "__fail__":
                    raise
                kind = AirflowSensorTimeout if is_deferral_timeout(error) else AirflowException
                raise kind(self.broken_off(error)) from error

    def broken_off(self, error: Exception) -> str:
        """Return what to say when Airflow has ended a deferral before its trigger has."""
        return f"The wait broke off: {error}"

    def fail(self, error: SegmindError) -> NoReturn:
        """
        End the attempt: for good, unless a retry can help. It costs nothing.

        :raises AirflowSkipException: If the task is to be skipped then.
        :raises AirflowException: If a retry can help. It is of the error's class, too.
        :raises AirflowFailException: If not; likewise.
        """
        from airflow_provider_segmind.delivery import error_for_airflow, raise_in_place_of  # not to parse a DAG

        if _may_pass(error):
            raise_in_place_of(error, error_for_airflow(error, error.text, AirflowException))
        if self.soft_fail or self.never_fail:
            raise self._skip(error) from error
        raise_in_place_of(error, error_for_airflow(error, error.text, AirflowFailException))

    @contextmanager
    def _skipping(self) -> Iterator[None]:
        try:
            yield
        except (AirflowSkipException, AirflowRescheduleException):
            raise
        except Exception as error:
            if self.never_fail or (self.soft_fail and isinstance(error, AirflowException)):
                raise self._skip(error) from error
            raise

    def _skip(self, error: Exception) -> AirflowSkipException:
        option = "soft_fail" if self.soft_fail else "never_fail"
        return AirflowSkipException(f"Skipped because of {option}=True: {error}")


def _may_pass(error: SegmindError) -> bool:
    """Whether a retry of a sensor can help: against trouble and bugs, but not against what became of a request."""
    unforeseen = type(error) is SegmindError
    if isinstance(error, (DownloadError, OutputNotStoredError)):  # a retry fetches and stores again, for nothing
        return True
    return unforeseen or (error.can_retry and not isinstance(error, RequestFailedError))
