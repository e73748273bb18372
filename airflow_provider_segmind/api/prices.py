"""What a request to a model costs, as far as that is known before it. Segmind's catalogue has no prices."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_segmind.api import kling

KNOWN: Mapping[tuple[str, str | None], float] = {
    (kling.MODEL, None): 0.91,
    (kling.MODEL, "duration=5"): 0.91,
    (kling.MODEL, "duration=10"): 1.82,
}
"""
USD at most, by the model and by what ``usual_duration.variant_of`` says of its parameters.

An earlier copy of the page of Kling O1 had about 0.91 USD, which is most likely a mean over clips of 5 s and of
10 s. Then one of 5 s costs less, and one of 10 s less than twice as much.
"""


def known_price(model: str, variant: str | None) -> float | None:
    """Return the USD that a request costs at most; None if that is not known."""
    return KNOWN.get((model, variant))
