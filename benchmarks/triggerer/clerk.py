"""
The process that speaks to the databases with Airflow's own models, and stays at hand.

It answers each line of JSON on its stdin with one on its stdout. It has the configuration of the triggerers, which
share all of it but the database.
"""

from __future__ import annotations

import json
import os
import sys
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from benchmarks.triggerer import deferred
from benchmarks.triggerer.kinds import Job, Kind, trigger_of
from benchmarks.triggerer.rivals.lag_meter import LagMeterTrigger


def main() -> None:
    """Answer until there are no more questions."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # so that nothing that Airflow prints gets among the answers
    answers.write(json.dumps("ready") + "\n")
    answers.flush()
    for line in sys.stdin:
        question = json.loads(line)
        with Session(_engine(question["database"])) as session:
            answer = _answer(session, question)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answer(session: Session, question: dict[str, Any]) -> Any:
    match question["do"]:
        case "meter":
            deferred.put(session, deferred.METER_DAG_ID, [LagMeterTrigger(question["path"]).serialize()])
        case "defer":
            kind = Kind(question["kind"])
            jobs = [Job(**each) for each in question["jobs"]]
            deferred.put(session, deferred.DAG_ID, [trigger_of(kind, job) for job in jobs])
        case "left":
            return deferred.left(session)
        case "events":
            return deferred.events(session)
    return None


@lru_cache
def _engine(url: str) -> Engine:
    return create_engine(url)


if __name__ == "__main__":
    main()
