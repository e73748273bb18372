"""What docs/waiting.md says of limits: its example can be parsed, and the installed Airflow counts as it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from airflow import __version__
from airflow.ti_deps import dependencies_states

PAGE = Path(__file__).parents[2] / "docs" / "waiting.md"


def test_the_example_is_a_dag_whose_task_is_in_the_pool() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102
    (task,) = names["dag"].tasks
    assert (task.pool, task.max_active_tis_per_dag) == ("segmind", 4)


def test_from_3_2_on_the_limit_of_a_task_counts_deferred_ones() -> None:
    counted = getattr(dependencies_states, "ACTIVE_STATES", dependencies_states.EXECUTION_STATES)
    from_3_2 = tuple(map(int, __version__.split(".")[:2])) >= (3, 2)
    assert ("deferred" in set(map(str, counted))) is from_3_2
