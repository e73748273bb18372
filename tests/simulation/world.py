"""What a simulation draws before it begins: which Segmind it is, how much goes wrong, and who else is there."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class World:
    """
    One Segmind, one Airflow and their neighbors. The first fields are those of the emulator's worlds.

    :param clock_difference: Seconds by which the clocks of workers and triggerers are wrong at most.
    :param record: Where records are: in a ``file``, in the task ``state`` of Airflow 3.3, or in the state of 3.4,
        which a ``clear`` deletes unless it is kept.
    :param instances: Of the mapped task; 1 for a task that is not mapped.
    :param inputs: Of the instances: ``equal``, or different by the ``prompt`` or by the ``image`` alone.
    :param changing: Whether each attempt renders other parameters.
    :param neighbors: What another DAG submits when this one does: nothing, ``identical`` requests, ``similar``
        ones with another image, or ``other`` ones.
    :param crowd: Requests that fill pages of the history.
    :param overlong: Whether some requests take longer than usual, up to ``longest`` seconds.
    :param abandons: How likely a person who clears the task gives up what it has.
    :param stops: Whether a process may stand still for longer than any search, and go on.
    """

    rows: str = "at_once"
    lag: float = 0.0
    created: str = "accepted"
    media: str = "as_sent"
    owner: str = "account"
    ids: str = "dashes"
    bodies: str = "literal"
    generations: bool = True
    generations_lag: float = 0.0
    server_error_leaves_job: bool = False
    clock_difference: float = 0.0
    record: str = "file"
    instances: int = 1
    inputs: str = "equal"
    uploads: bool = False
    changing: bool = False
    neighbors: str = ""
    crowd: int = 0
    overlong: bool = False
    longest: float = 900.0
    stops: bool = False
    deferred: bool = True
    deaths: float = 0.0
    twins: float = 0.0
    lost_answers: float = 0.0
    troubles: float = 0.0
    failures: float = 0.0
    abandons: float = 0.0


def draw_world(chance: random.Random, *, exceptional: bool) -> World:
    """
    Draw a world.

    :param exceptional: Whether it may be one of those in which a charge too many is documented.
    """
    pick = chance.choice
    media = pick(["as_sent", "as_sent", "missing", "rewritten"])
    neighbors = ["", "", "other", "similar" if media == "as_sent" or exceptional else "other"]
    return World(
        rows=pick(["at_once", "with_output"]),
        lag=pick([0.0, 2.0, 20.0, 55.0, *([200.0] if exceptional else [])]),
        created=pick(["accepted", "recorded"]),
        media=media,
        owner=pick(["account", "team"]),
        ids=pick(["dashes", "hex", "mixed"]),
        bodies=pick(["literal", "json"]),
        generations=pick([True, True, False]),
        generations_lag=pick([0.0, 5.0, 50.0]),
        server_error_leaves_job=exceptional and pick([True, False]),
        clock_difference=pick([0.0, 5.0, 20.0]),
        record=pick(["file", "state", *(["clear"] if exceptional else [])]),
        instances=pick([1, 1, 2, 3]),
        inputs=pick(["equal", "prompt", "image"]),
        uploads=pick([False, True]),
        changing=pick([False, False, True]),
        neighbors=pick([*neighbors, *(["identical"] if exceptional else [])]),
        crowd=pick([0, 0, 0, 0, 0, 150]),
        overlong=exceptional and pick([True, False, False]),
        stops=exceptional and pick([True, False]),
        deferred=pick([True, False]),
        deaths=pick([0.0, 0.02, 0.08]),
        twins=pick([0.0, 0.01, 0.05]),
        lost_answers=pick([0.1, 0.3, 0.7]),
        troubles=pick([0.0, 0.05, 0.2]),
        failures=pick([0.0, 0.2]),
    )
