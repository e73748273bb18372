"""What several tests of a whole Airflow need."""

from __future__ import annotations

import pytest

from harness import HarnessError, check_broker, check_postgres


@pytest.fixture
def cluster_services() -> None:
    """PostgreSQL and Redis; without them, the test is skipped and says what is missing."""
    try:
        check_postgres()
        check_broker()
    except HarnessError as missing:
        pytest.skip(str(missing))
