"""
Comparing the parameters of a request with what the catalogue says of its model.

The catalogue is a hint and no contract: a value may have another form of the same meaning (``api.meant_values``),
null stands for a parameter that is not given, and a rule that the catalogue's own default breaks is no rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from airflow_provider_segmind.api.catalogue import ModelParameters, Parameter
from airflow_provider_segmind.api.meant_values import as_meant
from airflow_provider_segmind.api.names import nearest_name
from airflow_provider_segmind.api.text import one_line

MOST_FINDINGS = 20
"""Of one request. A request with more is one for another model."""

_MOST_SHOWN = 10
_LONGEST_SHOWN_NAME = 60
_LONGEST_SHOWN_TEXT = 12
"""Characters of a text that a message quotes. A longer one may be a prompt, or a key."""

_MAY_BE_SECRET = re.compile(r"key|token|secret|passw|auth|credential|login|cookie|private", re.IGNORECASE)
_WORDS = {
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


@dataclass(frozen=True)
class Finding:
    """
    Something that is odd about a parameter.

    :param name: The parameter, fit for a message.
    :param problem: What is odd, and what to write instead; it continues a sentence that begins with the name.
    """

    name: str
    problem: str

    def __str__(self) -> str:
        return f"{self.name} {self.problem}"


def find_problems(given: Mapping[str, Any], known: ModelParameters, model: str) -> list[Finding]:
    """
    Return what is wrong with the parameters of a request: those that the model does not have, those that are
    missing, and those with a value of another type, beyond a bound or none of the options.

    :param given: The parameters as they are to be sent.
    :param known: Those of the model.
    :param model: Its slug, for messages.
    """
    findings: list[Finding] = []
    for finding in _find_all(given, known, one_line(model, _LONGEST_SHOWN_NAME)):
        findings.append(finding)
        if len(findings) == MOST_FINDINGS:
            break
    return findings


def _find_all(given: Mapping[str, Any], known: ModelParameters, model: str) -> Iterator[Finding]:
    present = {name for name, value in given.items() if value is not None}
    parameters = known.parameters
    if not known.takes_others:
        unused = [name for name in parameters if name not in present]
        for name in sorted(present - parameters.keys() - known.others):
            yield Finding(_shown_name(name), f"is not a parameter of {model}; {_advice(name, unused, parameters)}")
    for name, parameter in parameters.items():
        if parameter.required and name not in present:
            yield Finding(_shown_name(name), f"is missing, and {model} needs it")
    for name in given:
        if name in present and name in parameters:
            yield from _check_value(parameters[name], given[name])


def _advice(name: str, unused: Sequence[str], known: Iterable[str]) -> str:
    nearest = nearest_name(name, unused) or nearest_name(name, known)
    if nearest is not None:
        return f"did you mean {_shown_name(nearest)!r}?"
    names = sorted(known)
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return f"it has {', '.join(map(_shown_name, names[:_MOST_SHOWN]))}{more}"


def _check_value(parameter: Parameter, value: Any) -> Iterator[Finding]:
    if not parameter.schema:
        return
    # No formats are checked. The schema has neither references nor patterns: see `api.catalogue`.
    validator = Draft202012Validator(parameter.schema)
    doubtful = _doubtful_rules(parameter, validator)
    for error in _find_errors(validator, as_meant(value, parameter.schema)):
        if _rule(error) not in doubtful:
            cause = _most_telling(error)
            name = _name_of_part(parameter.name, cause.absolute_path)
            yield Finding(name, _describe(cause, name))


def _doubtful_rules(parameter: Parameter, validator: Draft202012Validator) -> set[tuple[str | int, ...]]:
    """Return the rules that the default of a parameter breaks: the catalogue contradicts itself there."""
    if parameter.default in (None, ""):
        return set()
    return {_rule(error) for error in _find_errors(validator, as_meant(parameter.default, parameter.schema))}


def _find_errors(validator: Draft202012Validator, value: Any) -> Iterator[ValidationError]:
    return islice(validator.iter_errors(value), MOST_FINDINGS)


def _rule(error: ValidationError) -> tuple[str | int, ...]:
    """Return where a rule is in its schema."""
    return tuple(error.absolute_schema_path)


def _most_telling(error: ValidationError) -> ValidationError:
    """Return what is wrong with a value in the form that has its type, if it may have one of several forms."""
    if error.validator not in ("anyOf", "allOf") or not error.context:
        return error
    forms: dict[Any, list[ValidationError]] = {}
    for part in error.context:
        forms.setdefault(part.schema_path[0], []).append(part)
    fitting = [parts for parts in forms.values() if all(part.validator != "type" for part in parts)]
    return _most_telling(fitting[0][0]) if fitting else error


def _describe(error: ValidationError, name: str) -> str:
    """Return what is wrong with a value, and what it should be."""
    rule, limit, value = error.validator, error.validator_value, error.instance
    if rule in ("minLength", "maxLength", "minItems", "maxItems"):
        bound = "at least" if str(rule).startswith("min") else "at most"
        what = "characters" if str(rule).endswith("Length") else "items"
        return f"must have {bound} {limit:,} {what}, but has {len(value):,}"
    if rule == "required":
        missing = [each for each in limit if each not in value]
        return f"lacks {', '.join(map(_shown_name, missing[:_MOST_SHOWN]))}"
    return f"must be {_wanted(error)}, not {_shown_value(value, name)}"


def _wanted(error: ValidationError) -> str:
    limit = error.validator_value
    if error.validator == "enum":
        more = f" and {len(limit) - _MOST_SHOWN} more" if len(limit) > _MOST_SHOWN else ""
        return f"one of {', '.join(map(_shown_option, limit[:_MOST_SHOWN]))}{more}"
    bounds = {
        "minimum": "{} or more",
        "maximum": "{} or less",
        "exclusiveMinimum": "more than {}",
        "exclusiveMaximum": "less than {}",
    }
    if error.validator in bounds:
        return bounds[str(error.validator)].format(f"{limit:,.12g}")
    return " or ".join(dict.fromkeys(_WORDS[each] for each in _types_in(error.schema))) or "something else"


def _types_in(schema: Mapping[str, Any]) -> Iterator[str]:
    yield from schema.get("type", ())
    for form in schema.get("anyOf", ()):
        yield from _types_in(form)


def _name_of_part(name: str, path: Iterable[str | int]) -> str:
    """Return the name of a parameter, or of a part of it, such as ``messages[0].role``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_shown_name(part)}" for part in path)
    return one_line(f"{_shown_name(name)}{''.join(parts)}")


def _shown_name(name: str) -> str:
    return one_line(name, _LONGEST_SHOWN_NAME)


def _shown_option(option: Any) -> str:
    return repr(one_line(option, _LONGEST_SHOWN_NAME)) if isinstance(option, str) else f"{option}"


def _shown_value(value: Any, name: str) -> str:
    """Return a value as a message may have it: not in full if it is long, or may be a secret."""
    if isinstance(value, str):
        plain = one_line(value, _LONGEST_SHOWN_TEXT) == value and not _MAY_BE_SECRET.search(name)
        return repr(value) if plain else f"a text of {len(value):,} characters"
    if isinstance(value, (list, dict)):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value):,} items"
    return "null" if value is None else one_line(str(value), _LONGEST_SHOWN_NAME)
