"""What the evidence about Segmind leaves open, as one value: each field is a question, its value an answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Mapping

Choice = str | int | bool


@dataclass(frozen=True, slots=True)
class World:
    """One Segmind that the evidence allows. The defaults are what the documentation says, as far as it says it.

    :param history_rows: When a request gets its row in the history: `at_once`, or `with_output` when it has ended.
    :param history_lag: Real seconds by which the history trails that moment, and every later change.
    :param history_created: What `model_created` says: when the request was `accepted`, or its row `recorded`.
    :param history_media: Inputs that are media: `as_sent`, `missing`, or `rewritten` to another URL.
    :param history_owner: Whose rows the lists hold: those of the `account`, or of the whole `team`.
    :param history_after_expiry: What is left of a row after `retention`: it is `complete`, `without_output` or
        `missing`.
    :param history_bodies: Form of `request_body` in the history: a Python `literal` or `json`.
    :param generations_lag: Real seconds from an output to its row in the list of generations.
    :param server_error_leaves_job: Whether a submit that a fault answers with 5xx is accepted and charged.
    :param running_status: HTTP status of `GET /v2/requests/{id}` while the job runs.
    :param running_body: What that answer holds: the `state` of the job, or only an `error`.
    :param status_counts: Whether the questions for a request count against the rate limit.
    :param platform_counts: Whether requests to the platform host count against it.
    :param no_credits_status: HTTP status of a v2 submit that the balance does not cover.
    :param reset_format: How `x-rate-limit-reset-at-utc` is written; `none` leaves it out.
    :param ids: Request ids with `dashes`, as 32 `hex` digits, or `mixed`: with dashes at the gateway, without in
        the lists.
    :param optional_keys: Keys of answers about a request that may be left out: `present` or `absent`.
    :param error_key: Where an error has its text. `error_object` is an object under `error_message`.
    :param upload_key: Where an upload has its URLs.
    :param catalogue_key: Where the catalogue has its models: under `models`, under a long title (`details`), or
        they are the body (`none`).
    :param catalogue_parameters: How an entry describes the parameters of its model: by a JSON schema, as an object
        or as a text (`schema_text`), or by what is known of each.
    """

    history_rows: Literal["at_once", "with_output"] = "at_once"
    history_lag: float = 0.0
    history_created: Literal["accepted", "recorded"] = "accepted"
    history_media: Literal["as_sent", "missing", "rewritten"] = "as_sent"
    history_owner: Literal["account", "team"] = "account"
    history_after_expiry: Literal["complete", "without_output", "missing"] = "complete"
    history_bodies: Literal["literal", "json"] = "literal"
    generations_lag: float = 0.0
    server_error_leaves_job: bool = False
    running_status: Literal[200, 202, 400, 404, 409, 425] = 200
    running_body: Literal["state", "error"] = "state"
    status_counts: bool = True
    platform_counts: bool = True
    no_credits_status: Literal[406, 402] = 406
    reset_format: Literal["iso", "rfc1123", "epoch", "epoch_ms", "none"] = "iso"
    ids: Literal["dashes", "hex", "mixed"] = "dashes"
    optional_keys: Literal["present", "absent"] = "present"
    error_key: Literal["error", "error_message", "error_object", "detail", "message"] = "error"
    upload_key: Literal["file_urls", "urls"] = "file_urls"
    catalogue_key: Literal["models", "details", "none"] = "models"
    catalogue_parameters: Literal["parameters_schema", "parameters", "schema_text"] = "parameters_schema"

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            _check(name, getattr(self, name), allowed)

    def changed(self, changes: Mapping[str, Any]) -> World:
        """This world with other answers to some questions. Raises ValueError for what is none."""
        unknown = sorted(set(changes) - set(CHOICES))
        if unknown:
            raise ValueError(f"the emulator has no world with {', '.join(unknown)}; it knows {', '.join(CHOICES)}")
        return replace(self, **changes)

    def as_json(self) -> dict[str, Any]:
        """All answers, as `GET /__emulator__/world` shows them."""
        return asdict(self)

    def differences(self) -> dict[str, Any]:
        """The answers that are not the default ones."""
        return {each.name: getattr(self, each.name) for each in fields(self) if self._differs(each.name)}

    def _differs(self, name: str) -> bool:
        return bool(getattr(self, name) != getattr(DOCUMENTED, name))


def _choices() -> dict[str, tuple[Choice, ...]]:
    """The values that each field may have; none for a number of seconds."""
    kinds = get_type_hints(World)
    return {
        each.name: (False, True) if kinds[each.name] is bool else get_args(kinds[each.name])
        for each in fields(World)
    }


def _check(name: str, value: object, allowed: tuple[Choice, ...]) -> None:
    if allowed:
        if not any(value == each and type(value) is type(each) for each in allowed):
            raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}; got {value!r}")
    elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be a number of seconds, 0 or more; got {value!r}")


CHOICES = _choices()
DOCUMENTED = World()
