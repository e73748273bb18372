"""
What the catalogue says of a model's parameters: each form that was seen, as one plain JSON Schema.

Segmind documents neither form. The official client names ``parameters_schema``, a JSON schema; others have seen
``parameters``, with ``isRequired``, ``default``, ``min``, ``max`` and ``options`` of each. The content of an
entry decides which of them it is, not its key.

The catalogue is read from a host, so that nothing of it is taken as it is. What is left has no references to
follow, no patterns to run and a bounded size, and leaves out what cannot be checked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.api.values import read_flag, read_number

if TYPE_CHECKING:
    from airflow_provider_segmind.api.answers import Model

Json = dict[str, Any]

MOST_PARAMETERS = 300
"""Of one model. The largest models that were seen have some fifty."""

MOST_OPTIONS = 500
LONGEST_NAME = 100
_LONGEST_DESCRIPTION = 500
_MOST_PARTS = 3000
_MOST_FORMS = 20
_DEEPEST = 8
_LARGEST_BOUND = 1e18
_OTHER_JSON = re.compile(r"\s*(true|false|null|none|[\[{].*)\s*", re.IGNORECASE | re.DOTALL)
_TYPES = {
    "string": "string",
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
    "array": "array",
    "object": "object",
    "null": "null",
    "str": "string",
    "float": "number",
    "int": "integer",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
}
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems")
_RANGES = (
    (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")),
    (("minLength",), ("maxLength",)),
    (("minItems",), ("maxItems",)),
)
_ALTERNATIVES = ("anyOf", "oneOf")


@dataclass(frozen=True)
class Parameter:
    """
    One parameter of a model.

    :param schema: A plain JSON schema: what can be checked of it. An empty one accepts everything.
    :param default: What Segmind uses without it, or what its playground shows; None if it does not say.
    """

    name: str
    required: bool = False
    schema: Json = field(default_factory=dict)
    default: Any = None
    description: str = ""


@dataclass(frozen=True)
class ModelParameters:
    """
    The parameters of a model.

    :param parameters: By their names.
    :param takes_others: Whether the model takes parameters that are not listed.
    :param others: Names of parameters that are listed, and of which nothing is read.
    """

    parameters: Mapping[str, Parameter]
    takes_others: bool = False
    others: frozenset[str] = frozenset()


def read_parameters(model: Model) -> ModelParameters | None:
    """Return the parameters of a model; None if the catalogue does not describe them."""
    for source in (model.parameters_schema, model.parameters):
        found = _read_schema(source) if isinstance(source.get("properties"), dict) else _read_described(source)
        if found is not None:
            return found
    return None


def _read_schema(document: Json) -> ModelParameters | None:
    """Read a JSON schema of an object."""
    reader = _SchemaReader(document)
    listed = document.get("required")
    needed = {each for each in listed if isinstance(each, str)} if isinstance(listed, list) else set()
    found = {}
    for name, schema in _named(document["properties"]):
        described = reader.resolve(schema)
        found[name] = Parameter(
            name=name,
            required=name in needed or described.get("required") is True,
            schema=reader.plain(schema),
            default=described.get("default"),
            description=_read_description(described),
        )
    takes_others = document.get("additionalProperties", False) is not False or bool(
        document.get("patternProperties")
    )
    return _model_parameters(found, document["properties"], takes_others)


def _read_described(document: Json) -> ModelParameters | None:
    """Read what is known of each parameter, by its name."""
    found = {}
    if not _describes_parameters(document):
        return None
    for name, entry in _named(document):
        needed = next((entry[key] for key in ("isRequired", "is_required", "required") if key in entry), None)
        # The playground fills in what it hides.
        hidden = read_flag(entry.get("hidden")) is True and entry.get("default") is not None
        found[name] = Parameter(
            name=name,
            required=read_flag(needed) is True and not hidden,
            schema=_SchemaReader(entry).plain(_as_schema(entry)),
            default=entry.get("default"),
            description=_read_description(entry),
        )
    return _model_parameters(found, document)


def _describes_parameters(document: Json) -> bool:
    """Whether the members of an object may be parameters, and are neither a schema nor the definitions of one."""
    entries = [entry for _, entry in _named(document)]
    if not all(isinstance(entry, dict) for entry in entries):
        return False
    if any(entry and all(isinstance(part, dict) for part in entry.values()) for entry in entries):
        return False
    return not all(isinstance(entry.get("properties"), dict) for entry in entries)


def _model_parameters(
    found: Mapping[str, Parameter], listed: Mapping[str, Any], takes_others: bool = False
) -> ModelParameters | None:
    return ModelParameters(found, takes_others, frozenset(listed.keys() - found.keys())) if found else None


def _as_schema(entry: Json) -> Json:
    """Return a description as a schema. Without a type, its default tells of one."""
    schema: Json = {"minimum": entry.get("min"), "maximum": entry.get("max"), "type": entry.get("type")}
    options = _read_options(entry.get("options"))
    if options:
        schema["enum"] = options
    elif _read_types(entry.get("type")) is None:
        schema["type"] = _type_of_default(entry)
    return schema


def _read_options(options: object) -> list[Any]:
    """Return the values that may be chosen: scalars, or objects with a ``value``, as forms have them."""
    if not isinstance(options, list) or any(isinstance(each, dict) and "value" not in each for each in options):
        return []
    return [each["value"] if isinstance(each, dict) else each for each in options]


def _type_of_default(entry: Json) -> list[str] | str | None:
    """
    Return the type that a default stands for.

    A text stands for a text or a number, but one such as ``false`` or ``[]`` for something else as well. An empty
    one, such as that of a seed or a prompt, stands for nothing: the bounds may be those of a number or a length.
    """
    default = entry.get("default")
    if isinstance(default, bool):
        return "boolean"
    if isinstance(default, (int, float)):
        return "number"
    if not isinstance(default, str) or not default or _OTHER_JSON.fullmatch(default):
        return None
    bounded = any(_read_bound(entry.get(key)) is not None for key in ("min", "max"))
    if not bounded:
        return ["string", "number"]
    return "number" if read_number(default) is not None else None


class _SchemaReader:
    """Makes plain schemas of those in a document, all together in a bounded time."""

    def __init__(self, document: Json) -> None:
        self._document = document
        self._left = _MOST_PARTS

    def resolve(self, schema: object) -> Json:
        """Return what a schema refers to within the document, or itself; an empty one for another document."""
        for _ in range(_DEEPEST):
            if not isinstance(schema, dict):
                return {}
            reference = schema.get("$ref")
            if reference is None:
                return schema
            schema = {**self._find(reference), **{key: part for key, part in schema.items() if key != "$ref"}}
        return {}

    def _find(self, reference: object) -> Json:
        if not isinstance(reference, str) or not reference.startswith("#/") or reference.count("/") > _DEEPEST:
            return {}
        found: object = self._document
        for part in reference.removeprefix("#/").split("/"):
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def plain(self, schema: object, level: int = 0) -> Json:
        """Return what can be checked of a schema. An empty one accepts everything."""
        self._left -= 1
        if level > _DEEPEST or self._left < 0:
            return {}
        given = self.resolve(schema)
        plain = {**self._plain_type(given), **self._plain_values(given)}
        for name in _ALTERNATIVES:
            # `oneOf` as `anyOf`: what fits two forms is none that anybody has to correct.
            forms = self._forms(given.get(name), level)
            if forms and "anyOf" not in plain:
                plain["anyOf"] = forms
        if isinstance(parts := given.get("allOf"), list):
            plain["allOf"] = [self.plain(part, level + 1) for part in parts[:_MOST_FORMS]]
        if isinstance(given.get("items"), dict):
            plain["items"] = self.plain(given["items"], level + 1)
        if isinstance(properties := given.get("properties"), dict):
            plain["properties"] = {name: self.plain(part, level + 1) for name, part in _named(properties)}
            needed = given.get("required")
            if isinstance(needed, list):
                plain["required"] = [name for name in plain["properties"] if name in needed]
        return plain

    def _forms(self, forms: object, level: int) -> list[Json]:
        """Return the forms that a value may have; none if one of them may be anything."""
        if not isinstance(forms, list) or not 0 < len(forms) <= _MOST_FORMS:
            return []
        read = [self.plain(form, level + 1) for form in forms]
        return read if all(read) else []

    def _plain_type(self, given: Json) -> Json:
        types = _read_types(given.get("type"))
        if types is None:
            return {}
        if given.get("nullable") is True:
            types = [*types, "null"]
        return {"type": types}

    def _plain_values(self, given: Json) -> Json:
        plain: Json = {}
        options = [given["const"]] if "const" in given else given.get("enum")
        if _are_options(options):
            plain["enum"] = options
        for name in _BOUNDS:
            bound = _read_bound(given.get(name))
            if bound is not None:
                plain[name] = bound
        for inclusive, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if given.get(exclusive) is True and inclusive in plain:  # as the fourth draft wrote it
                plain[exclusive] = plain.pop(inclusive)
        for name in _COUNTS:
            count = read_number(given.get(name), 0, _LARGEST_BOUND)
            if count is not None:
                plain[name] = int(count)
        return _without_contradictions(plain)


def _without_contradictions(plain: Json) -> Json:
    """Leave out bounds that nothing is between, and those that nobody has filled in: both are 0."""
    for lowest, highest in _RANGES:
        given = {name: plain[name] for name in (*lowest, *highest) if name in plain}
        nothing = 0 if lowest[0] in _COUNTS else -math.inf
        least = max((given[name] for name in lowest if name in given), default=nothing)
        most = min((given[name] for name in highest if name in given), default=math.inf)
        is_open = any(name.startswith("exclusive") for name in given)
        if least > most or (least == most and (is_open or most == 0)):
            plain = {name: rule for name, rule in plain.items() if name not in given}
    return plain


def _named(members: object) -> Iterator[tuple[str, Any]]:
    """Yield the first members of an object, without those whose names nobody can write."""
    for name, value in list(members.items())[:MOST_PARAMETERS] if isinstance(members, dict) else ():
        if name and one_line(name, LONGEST_NAME) == name:
            yield name, value


def _read_types(value: object) -> list[str] | None:
    """Return the types that are named, as JSON Schema names them; None if one is not known."""
    given = value if isinstance(value, list) else [value]
    types = [_TYPES.get(each.strip().lower()) if isinstance(each, str) else None for each in given]
    known = [each for each in types if each is not None]
    return known if known and len(known) == len(types) else None


def _read_bound(value: object) -> float | None:
    return read_number(value, -_LARGEST_BOUND, _LARGEST_BOUND)


def _are_options(options: object) -> bool:
    """Whether these are values to choose from, of which one at least says something."""
    if not isinstance(options, list) or len(options) > MOST_OPTIONS or not all(map(_is_scalar, options)):
        return False
    return any(option not in (None, "") for option in options)


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, (str, bool, int, float))


def _read_description(described: Json) -> str:
    text = described.get("description")
    return one_line(text, _LONGEST_DESCRIPTION) if isinstance(text, str) else ""
