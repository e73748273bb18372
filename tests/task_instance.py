"""A task instance without a database, for tests that call an operator or a sensor themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


class Ti:
    """What an operator or a sensor asks of its task instance, in its first attempt."""

    dag_id, run_id = "nightly", "manual"
    map_index, task_id, max_tries, try_number = -1, "run", 3, 1

    def __init__(self) -> None:
        self.start_date = datetime.now(UTC)
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value

    def xcom_pull(self, key: str, **_: Any) -> Any:
        return self.xcoms.get(key)

    def get_first_reschedule_date(self, context: Any) -> None:
        return None
