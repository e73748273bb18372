"""What Segmind takes as a model, as its parameters and as the id of a request: checked before anything is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_segmind.api.request_ids import read_request_id
from airflow_provider_segmind.exceptions import InvalidParameterError

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_model(model: object) -> str:
    """Return the slug of a model if it can be one."""
    if isinstance(model, str) and _SLUG.fullmatch(model):
        return model
    raise InvalidParameterError(
        "model", f"must be the slug of a model, such as 'kling-o1-image-to-video', not {model!r}"
    )


def check_request_id(request_id: object) -> str:
    """Return the id of a request if it can be one."""
    checked = read_request_id(request_id)
    if checked is not None:
        return checked
    raise InvalidParameterError("request_id", f"must be a request id, as a submit returns it, not {request_id!r}")


def check_parameters(parameters: object) -> Mapping[str, Any]:
    """Return the parameters of a model if they can be sent as JSON."""
    if not isinstance(parameters, Mapping):
        raise InvalidParameterError(
            "parameters", f"must be a dict of the model's parameters, not {type(parameters).__name__}"
        )
    for name, value in parameters.items():
        if not isinstance(name, str):
            raise InvalidParameterError("parameters", f"names must be strings, not {name!r}")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidParameterError(f"parameters[{name!r}]", f"cannot be sent as JSON: {error}") from None
    return parameters
