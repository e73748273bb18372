"""What the catalogue says of parameters, in each form that was seen, and what is wrong with those of a request."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from airflow_provider_segmind.api.answers import Model
from airflow_provider_segmind.api.call import Response
from airflow_provider_segmind.api.calls import models
from airflow_provider_segmind.api.catalogue import ModelParameters, read_parameters
from airflow_provider_segmind.api.parameter_check import MOST_FINDINGS, find_problems
from airflow_provider_segmind.api.readers import read_models

PROMPT = {"type": "string", "maxLength": 20}
SCHEMA = {
    "type": "object",
    "required": ["prompt"],
    "properties": {
        "prompt": PROMPT,
        "duration": {"type": "integer", "enum": [5, 10], "default": 5},
        "samples": {"type": "integer", "minimum": 1, "maximum": 4},
        "tiled": {"type": "boolean"},
        "images": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
    },
}
DESCRIBED = {
    "prompt": {"isRequired": True, "default": "a fox", "label": "Prompt", "component": "text"},
    "duration": {"isRequired": False, "affectsPricing": True, "default": 5, "options": [5, 10]},
    "samples": {"isRequired": False, "default": 1, "min": 1, "max": 4},
    "tiled": {"default": False},
    "images": {"type": "list"},
}
PYDANTIC = {
    "type": "object",
    "required": ["prompt"],
    "properties": {
        "prompt": {"type": "string"},
        "duration": {"allOf": [{"$ref": "#/$defs/Duration"}], "default": 5},
        "samples": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 4}, {"type": "null"}]},
        "tiled": {"$ref": "#/$defs/Tiled"},
        "images": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
    },
    "$defs": {"Duration": {"enum": [5, 10]}, "Tiled": {"type": "boolean"}},
}
FORMS: dict[str, dict[str, Any]] = {
    "a schema": {"parameters_schema": SCHEMA},
    "a schema as text": {"parameters_schema": json.dumps(SCHEMA)},
    "a schema with references": {"parameters_schema": PYDANTIC},
    "a schema under the other key": {"parameters": SCHEMA},
    "a description of each": {"parameters": DESCRIBED},
    "a description of each as text": {"parameters": json.dumps(DESCRIBED)},
    "a description of each under the other key": {"parameters_schema": DESCRIBED},
    "an empty schema and a description of each": {"parameters_schema": {}, "parameters": DESCRIBED},
    "options and bounds as texts": {
        "parameters": {
            **DESCRIBED,
            "duration": {"default": "5", "options": [{"label": "short", "value": "5"}, {"value": "10"}]},
            "samples": {"isRequired": "false", "default": "1", "min": "1", "max": "4"},
        }
    },
}
ENVELOPES = (
    lambda entries: entries,
    lambda entries: {"models": entries},
    lambda entries: {"A Long Title": entries},
)


def entry(document: dict[str, Any]) -> Model:
    """Return what is read of an entry of the catalogue."""
    call = models()
    entries = [{"slug": "other"}, {"slug": "fox", **document}]
    read = [call.read(Response(200, body=json.dumps(wrap(entries)).encode())) for wrap in ENVELOPES]
    assert read[0] == read[1] == read[2]
    return read[0][1]


def known(document: dict[str, Any]) -> ModelParameters:
    found = read_parameters(entry(document))
    assert found is not None
    return found


def problems(form: dict[str, Any], **given: Any) -> list[str]:
    return [str(each) for each in find_problems({"prompt": "a fox", **given}, known(form), "fox")]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
class TestEachForm:
    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"duration": 10, "samples": 4, "tiled": True, "images": ["https://x/a.png"]},
            {"duration": "5", "samples": "2"},  # as the page of Kling O1 writes it
            {"duration": 5.0, "samples": None, "tiled": None},
        ],
        ids=str,
    )
    def test_what_fits(self, form: dict[str, Any], given: dict[str, Any]) -> None:
        assert problems(form, **given) == []

    def test_an_unknown_name(self, form: dict[str, Any]) -> None:
        assert problems(form, duraton=5) == ["duraton is not a parameter of fox; did you mean 'duration'?"]
        assert problems(form, Images=[]) == ["Images is not a parameter of fox; did you mean 'images'?"]
        assert problems(form, zzz=1) == [
            "zzz is not a parameter of fox; it has duration, images, prompt, samples, tiled"
        ]

    def test_a_missing_name(self, form: dict[str, Any]) -> None:
        assert problems(form, prompt=None) == ["prompt is missing, and fox needs it"]

    def test_a_value_beyond_its_bounds(self, form: dict[str, Any]) -> None:
        assert problems(form, samples=5) == ["samples must be 4 or less, not 5"]
        assert problems(form, samples="0") == ["samples must be 1 or more, not 0"]

    def test_a_value_that_is_no_option(self, form: dict[str, Any]) -> None:
        for value in (7, "7"):
            (problem,) = problems(form, duration=value)
            assert problem.replace("'", "") == "duration must be one of 5, 10, not 7"

    @pytest.mark.parametrize(
        ("given", "wanted"),
        [
            ({"samples": "many"}, "number"),
            ({"samples": [1]}, "number"),
            ({"samples": True}, "number"),
            ({"tiled": "yes"}, "must be true or false, not 'yes'"),
            ({"images": {"url": "x"}}, "must be a list"),
            ({"prompt": ["a", "fox"]}, "must be a text"),
        ],
        ids=str,
    )
    def test_a_value_of_another_type(self, form: dict[str, Any], given: dict[str, Any], wanted: str) -> None:
        (problem,) = problems(form, **given)
        assert problem.startswith(f"{next(iter(given))} must be ")
        assert wanted in problem


def test_other_rules_of_a_schema() -> None:
    schema = {
        "parameters_schema": {
            "properties": {
                "prompt": PROMPT,
                "weight": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                "old": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
                "messages": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["role"],
                        "properties": {"role": {"enum": ["user", "system"]}},
                    },
                },
                "size": {"oneOf": [{"type": "integer"}, {"type": "string", "enum": ["auto"]}]},
                "mode": {"const": "fast"},
                "name": {"type": "string", "nullable": True, "required": True},
            },
        }
    }
    given: dict[str, Any] = {
        "name": "fox",
        "mode": "fast",
        "size": "auto",
        "weight": 0.5,
        "messages": [{"role": "user"}],
    }
    assert problems(schema, **given) == []
    wrong = {
        "prompt": "x" * 21,
        "weight": 1,
        "old": 0,
        "messages": [{"role": "fox"}, {}],
        "size": {},
        "mode": "slow",
    }
    assert problems(schema, **wrong) == [
        "name is missing, and fox needs it",
        "prompt must have at most 20 characters, but has 21",
        "weight must be less than 1, not 1",
        "old must be more than 0, not 0",
        "messages[0].role must be one of 'user', 'system', not 'fox'",
        "messages[1] lacks role",
        "size must be a whole number or a text, not an object of 0 items",
        "mode must be one of 'fast', not 'slow'",
    ]
    assert problems(schema, name="fox", messages=[]) == ["messages must have at least 1 items, but has 0"]


def test_a_schema_that_takes_others_knows_no_unknown_names() -> None:
    for more in ({"additionalProperties": True}, {"additionalProperties": {}}, {"patternProperties": {"x": {}}}):
        found = problems({"parameters_schema": {**SCHEMA, **more}}, duraton=5)
        assert found == []
    assert len(problems({"parameters_schema": {**SCHEMA, "additionalProperties": False}}, duraton=5)) == 1


def test_the_playground_fills_in_what_it_hides() -> None:
    described = {"prompt": {"isRequired": True}, "mode": {"isRequired": True, "hidden": True, "default": "fast"}}
    assert problems({"parameters": described}) == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"parameters_schema": None},
        {"parameters_schema": "not JSON"},
        {"parameters_schema": [1]},
        {"parameters_schema": {"type": "object"}},
        {"parameters_schema": {"properties": {}}},
        {"parameters": {"prompt": "string"}},
        {"parameters": {"": {}}},
        {"parameters": "[" * 1000},
    ],
    ids=str,
)
def test_an_entry_that_does_not_describe_its_parameters(document: dict[str, Any]) -> None:
    assert read_parameters(entry(document)) is None


ODD = {
    "a type that nobody knows": {"type": "image"},
    "no object": "string",
    "a reference to another document": {"$ref": "http://127.0.0.1:9/schema.json"},
    "a reference to nothing": {"$ref": "#/nowhere"},
    "a reference to itself": {"$ref": "#/properties/odd"},
    "a schema that holds itself": {"anyOf": [{"$ref": "#/properties/odd"}]},
    "a pattern that takes for ever": {"pattern": "^(a+)+$"},
    "options that are objects": {"enum": [{"a": 1}]},
    "no options": {"enum": []},
    "bounds that are none": {"minimum": "low", "maximum": {}},
    "infinite bounds": {"minimum": float("inf")},
}


@pytest.mark.parametrize("schema", ODD.values(), ids=ODD)
def test_what_cannot_be_checked_fits(schema: Any) -> None:
    form = {"parameters_schema": {"properties": {"prompt": PROMPT, "odd": schema}}}
    assert problems(form, odd="a" * 50 + "!") == []


def test_a_large_schema_and_large_parameters_take_a_bounded_time() -> None:
    """Each part refers twice to the next: written out, it would have a million million parts."""
    defs = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 20} for n in range(40)}
    properties = {
        "prompt": {},
        "bomb": {"$ref": "#/$defs/d0"},
        **{f"p{n}": {"type": "integer"} for n in range(9000)},
    }
    began = time.process_time()
    model = known({"parameters_schema": {"properties": properties, "$defs": defs}})
    assert (
        len(find_problems({"prompt": "", "bomb": ["x"] * 100_000, "p1": "x" * 10**6}, model, "fox"))
        <= MOST_FINDINGS
    )
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("duration", "x" * 13, "a text of 13 characters"),
        ("duration", "SG_0123456789abcdef", "a text of 19 characters"),
        ("api_key", "short", "a text of 5 characters"),
        ("duration", "a\x1b[31m", "a text of 6 characters"),
        ("duration", 10**400, "1000"),
        ("duration", {"password": "x"}, "an object of 1 items"),
    ],
)
def test_a_message_has_no_value_that_is_long_or_may_be_secret(name: str, value: Any, shown: str) -> None:
    form = {"parameters_schema": {"properties": {"prompt": {}, name: {"enum": [1]}}}}
    (problem,) = problems(form, **{name: value})
    assert f"not {shown}" in problem
    assert len(problem) < 200
    assert problem.isprintable()


def test_names_of_a_catalogue_and_of_a_request_are_fit_for_a_message() -> None:
    hostile = {"\x1b[2J": {}, "a\nb": {}, "x" * 200: {}, "prompt": {}}
    model = known({"parameters_schema": {"properties": hostile, "required": list(hostile)}})
    assert set(model.parameters) == {"prompt"}
    found = find_problems({f"{n}\x1b\n{'x' * 200}": 1 for n in range(100)}, model, "fox\x1b")
    assert len(found) == MOST_FINDINGS
    assert all(str(each).isprintable() and len(str(each)) < 300 for each in found)


def test_an_unreadable_catalogue_is_an_error_of_its_call() -> None:
    with pytest.raises(Exception, match="cannot be read"):
        read_models(models(), Response(200, body=b"<html>"))


def described(**parameters: Any) -> dict[str, Any]:
    return {"parameters": {"prompt": {"isRequired": True}, **parameters}}


def schema(**properties: Any) -> dict[str, Any]:
    return {"parameters_schema": {"properties": {"prompt": {}, **properties}}}


FALSE_ALARMS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "bounds that exclude everything": (schema(odd={"type": "integer", "minimum": 5, "maximum": 1}), [0, 3, 9]),
    "bounds of which one excludes the other": (
        schema(odd={"type": "number", "exclusiveMinimum": 1, "maximum": 1}),
        [1, 2],
    ),
    "bounds that nobody has filled in": (described(odd={"default": 1.5, "min": 0, "max": 0}), [1.5, 7]),
    "lengths that exclude everything": (schema(odd={"type": "string", "minLength": 9, "maxLength": 3}), ["fox"]),
    "a length that nobody has filled in": (schema(odd={"type": "string", "maxLength": 0}), ["fox"]),
    "a default of another type": (schema(odd={"type": "integer", "default": "auto"}), ["auto", "fast"]),
    "a default of another type, and bounds": (schema(odd={"type": "string", "default": 5}), [5, 7]),
    "a default beyond the bounds": (schema(odd={"type": "integer", "maximum": 9, "default": 50}), [50, 30]),
    "a default that is none of the options": (schema(odd={"enum": ["a", "b"], "default": "c"}), ["c", "d"]),
    "a flag as the text of a default": (described(odd={"default": "false"}), [True, False, "true"]),
    "a list as the text of a default": (described(odd={"default": "[]"}), [["a"], "[]"]),
    "an object as the text of a default": (described(odd={"default": '{"a": 1}'}), [{"a": 2}]),
    "an empty default of a text with lengths": (described(odd={"default": "", "min": 1, "max": 2500}), ["a fox"]),
    "no default of a text with lengths": (described(odd={"isRequired": True, "min": 1, "max": 9}), ["a fox"]),
    "options that are objects without a value": (described(odd={"options": [{"label": "a", "id": 1}]}), ["a", 1]),
    "options that are empty": (described(odd={"options": [None]}), ["a", 1]),
    "options that are an empty text": (described(odd={"options": [""]}), ["a", 1]),
    "flags as the texts of options": (schema(odd={"enum": ["true", "false"]}), [True, False, "true"]),
    "flags as numbers": (schema(odd={"enum": [0, 1]}, more={"type": "boolean"}), [True, 0]),
    "numbers as other texts of options": (described(odd={"options": ["1.0", "1.5"]}), [1, 1.5, "1", "1.50"]),
    "numbers as the texts of options that may be null": (
        schema(odd={"anyOf": [{"enum": ["5", "10"]}, {"type": "null"}]}),
        [5, "5", 10.0],
    ),
    "a number as a text within an object": (
        schema(odd={"type": "object", "properties": {"width": {"type": "integer", "maximum": 9}}}),
        [{"width": "5"}, {"width": None}],
    ),
    "a number as a text within a list": (
        schema(odd={"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}),
        [["5", 5, None]],
    ),
    "a large seed as a text": (schema(odd={"type": "integer", "minimum": 0}), [str(2**64 - 1), 2**64 - 1]),
    "a parameter behind all that are read": (
        schema(**{f"p{n}": {} for n in range(500)}, odd={"type": "string"}),
        ["fox"],
    ),
    "others that may have any form": (
        {"parameters_schema": {"properties": {"prompt": {}}, "additionalProperties": {}}},
        ["fox"],
    ),
    "a schema below another key": (
        {"parameters_schema": {"input": {"type": "object", "properties": {"x": {}}}}},
        [1],
    ),
    "definitions without a schema": ({"parameters_schema": {"$defs": {"odd": {"properties": {}}}}}, [1]),
}


@pytest.mark.parametrize(("form", "values"), FALSE_ALARMS.values(), ids=FALSE_ALARMS)
def test_a_catalogue_that_contradicts_itself_or_says_it_in_other_words_raises_no_alarm(
    form: dict[str, Any], values: list[Any]
) -> None:
    found = read_parameters(entry(form))
    for value in values:
        given = {"prompt": "a fox", "odd": value}
        assert [str(each) for each in find_problems(given, found, "fox")] == [] if found else True


def test_what_is_left_of_such_a_catalogue_is_still_checked() -> None:
    form = schema(
        low={"type": "integer", "minimum": 5, "maximum": 1},
        own={"type": "integer", "maximum": 9, "default": 50},
        flag={"enum": ["true", "false"]},
        nested={"type": "object", "properties": {"width": {"type": "integer", "maximum": 9}}},
    )
    assert problems(form, low="many", own="many", flag="maybe", nested={"width": "50"}) == [
        "low must be a whole number, not 'many'",
        "own must be a whole number, not 'many'",
        "flag must be one of 'true', 'false', not 'maybe'",
        "nested.width must be 9 or less, not 50",
    ]
    assert problems(schema(flag={"type": "boolean"}), flag=2) == ["flag must be true or false, not 2"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400, True, "", "NaN", {}, [[]]])
@pytest.mark.parametrize("form", [*FORMS.values(), *(form for form, _ in FALSE_ALARMS.values())])
def test_no_value_is_an_error_of_the_check(form: dict[str, Any], value: Any) -> None:
    found = read_parameters(entry(form))
    if found is None:
        return
    for each in find_problems({"prompt": value, **dict.fromkeys(found.parameters, value)}, found, "fox"):
        assert str(each).isprintable()
        assert len(str(each)) < 300
