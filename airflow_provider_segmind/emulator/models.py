"""The models that the emulator knows: what they take, what they return, how long they run and what they cost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Modality(StrEnum):
    """What a model returns."""

    VIDEO = "video"
    IMAGE = "image"
    TEXT = "text"
    CHAT = "chat"
    MOCK = "mock"
    WORKFLOW = "workflow"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input of a model, as the catalogue publishes it and the gateway checks it."""

    name: str
    type: str
    required: bool = False
    uri: bool = False
    default: Any = None
    choices: tuple[int | str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    description: str = ""

    def schema(self) -> dict[str, Any]:
        """This parameter as a JSON Schema property."""
        schema: dict[str, Any] = {"type": self.type}
        if self.uri:
            schema["format"] = "uri"
        if self.description:
            schema["description"] = self.description
        if self.default is not None:
            schema["default"] = self.default
        if self.choices:
            schema["enum"] = list(self.choices)
        if self.minimum is not None:
            schema["minimum"] = self.minimum
        if self.maximum is not None:
            schema["maximum"] = self.maximum
        return schema


_PRICED = ("duration", "samples", "credits")
"""Parameters that a price depends on."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the catalogue.

    `price` is in USD for one run with default parameters, `latency` the mean seconds from acceptance to the
    end, before `time_scale`.
    """

    slug: str
    modality: Modality
    price: float
    latency: float
    parameters: tuple[Parameter, ...] = ()
    retired: bool = False

    def catalogue_entry(self, form: str = "parameters_schema") -> dict[str, Any]:
        """This model as the public catalogue lists it, in one of the forms of `World.catalogue_parameters`."""
        schema = {
            "type": "object",
            "required": [each.name for each in self.parameters if each.required],
            "properties": {each.name: each.schema() for each in self.parameters},
        }
        return {
            "slug": self.slug,
            "model_type": self.modality.value,
            "is_depreciated": self.retired,
            **self._described_parameters(form, schema),
        }

    def _described_parameters(self, form: str, schema: dict[str, Any]) -> dict[str, Any]:
        if form == "parameters":
            return {form: {each.name: self._described(each) for each in self.parameters}}
        return {"parameters_schema": json.dumps(schema) if form == "schema_text" else schema}

    def _described(self, parameter: Parameter) -> dict[str, Any]:
        described = {
            "isRequired": parameter.required,
            "affectsPricing": parameter.name in _PRICED,
            "default": parameter.default,
            "min": parameter.minimum,
            "max": parameter.maximum,
            "options": list(parameter.choices) or None,
        }
        return {name: value for name, value in described.items() if value is not None}

    def cost(self, parameters: Mapping[str, Any]) -> float:
        """USD for one run with these (already completed) parameters."""
        if self.modality is Modality.MOCK:
            return float(parameters["credits"])
        if self.modality is Modality.VIDEO:
            return round(self.price * float(parameters.get("duration", 5)) / 5, 6)
        if self.modality is Modality.IMAGE:
            return round(self.price * int(parameters.get("samples", 1)), 6)
        return self.price


_PROMPT = Parameter("prompt", "string", required=True, description="What to make")
_SEED = Parameter("seed", "integer", description="Repeats a result")

_VIDEO = (
    Parameter(
        "prompt",
        "string",
        required=True,
        description="Describe the video transformation or animation between start and end images",
    ),
    Parameter(
        "start_image_url",
        "string",
        required=True,
        uri=True,
        description="URL of the starting frame image",
    ),
    Parameter("end_image_url", "string", uri=True, description="URL of the ending frame image (optional)"),
    Parameter("duration", "integer", default=5, choices=(5, 10), description="Video duration in seconds"),
    _SEED,
)
_IMAGE = (
    _PROMPT,
    Parameter("samples", "integer", default=1, minimum=1, maximum=4, description="How many images"),
    _SEED,
)
_TEXT = (Parameter("prompt", "string"), Parameter("messages", "array"))

KLING_O1 = Model("kling-o1-image-to-video", Modality.VIDEO, price=0.91, latency=144.5, parameters=_VIDEO)
MOCK_INFERENCE = Model(
    "mock-inference",
    Modality.MOCK,
    price=1e-6,
    latency=1.0,
    parameters=(
        Parameter("sleep", "number", default=1.0, minimum=0, description="Seconds to run"),
        Parameter("credits", "number", default=1e-6, minimum=0, description="USD to charge"),
    ),
)

CATALOGUE: tuple[Model, ...] = (
    KLING_O1,
    MOCK_INFERENCE,
    Model("fast-text-to-image", Modality.IMAGE, price=0.003, latency=2.0, parameters=_IMAGE),
    Model("mock-text", Modality.TEXT, price=0.0005, latency=1.5, parameters=_TEXT),
    Model("mock-chat", Modality.CHAT, price=0.0005, latency=1.5, parameters=_TEXT),
    Model("retired-image-to-video", Modality.VIDEO, price=0.5, latency=60.0, parameters=_VIDEO, retired=True),
)
"""What a fresh emulator offers. All but the first two are stand-ins named after what they return."""

_STAND_IN_PARAMETERS: dict[Modality, tuple[Parameter, ...]] = {
    Modality.MOCK: MOCK_INFERENCE.parameters,
    Modality.VIDEO: (Parameter("duration", "integer", default=5, minimum=1, maximum=60), _SEED),
    Modality.IMAGE: (
        Parameter("samples", "integer", default=1, minimum=1, maximum=4),
        _SEED,
    ),
}


def stand_in(slug: str, modality: Modality | str, price: float = 0.01, latency: float = 10.0) -> Model:
    """A further model for the catalogue: it accepts any JSON object and returns the given modality."""
    kind = Modality(modality)
    return Model(slug, kind, price, latency, _STAND_IN_PARAMETERS.get(kind, ()))


def workflow(slug: str) -> Model:
    """A PixelFlow workflow: any slug exists and takes any JSON object."""
    return Model(slug, Modality.WORKFLOW, price=0.01, latency=5.0)
