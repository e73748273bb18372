"""What Segmind takes as a model, as its parameters and as the id of a request: checked before anything is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_segmind.api.request_ids import read_request_id
from airflow_provider_segmind.exceptions import InvalidParameterError

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_WHOSE = {"parameters": "the model's parameters", "inputs": "the workflow's inputs"}


def check_model(model: object) -> str:
    """Return the slug of a model if it can be one."""
    if isinstance(model, str) and _SLUG.fullmatch(model):
        return model
    raise InvalidParameterError(
        "model", f"must be the slug of a model, such as 'kling-o1-image-to-video', not {model!r}"
    )


def check_workflow(workflow: object) -> str:
    """Return the id or slug of a PixelFlow workflow if it can be one."""
    if isinstance(workflow, str) and _SLUG.fullmatch(workflow):
        return workflow
    raise InvalidParameterError(
        "workflow",
        "must be the id of a workflow, as its API page has it, such as '66cec9a38aeef98f887211f1-v1', not "
        f"{workflow!r}",
    )


def check_request_id(request_id: object) -> str:
    """Return the id of a request if it can be one."""
    checked = read_request_id(request_id)
    if checked is not None:
        return checked
    raise InvalidParameterError("request_id", f"must be a request id, as a submit returns it, not {request_id!r}")


def check_parameters(parameters: object, argument: str = "parameters") -> Mapping[str, Any]:
    """
    Return the parameters of a model if they can be sent as JSON.

    :param argument: What the user calls them, for messages.
    """
    if not isinstance(parameters, Mapping):
        raise InvalidParameterError(
            argument, f"must be a dict of {_WHOSE[argument]}, not {type(parameters).__name__}"
        )
    for name, value in parameters.items():
        if not isinstance(name, str):
            raise InvalidParameterError(argument, f"names must be strings, not {name!r}")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidParameterError(f"{argument}[{name!r}]", f"cannot be sent as JSON: {error}") from None
    return parameters
