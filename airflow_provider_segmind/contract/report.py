"""The report as Markdown: which world it is, what differs from the emulator's default, and what to configure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_segmind.contract.findings import QUESTIONS, Finding, Findings, Outcome

if TYPE_CHECKING:
    from datetime import datetime

_LONGEST_EVIDENCE = 300
_UNDERSTOOD = (200, 202, 400, 409, 425)
"""Of a result that is not there yet: what the provider takes for an answer even if it names no state."""


def write_report(findings: Findings, asked: str, at: datetime) -> str:
    """Return the report.

    :param asked: Whom the questions were for.
    """
    return (
        "\n\n".join(
            [
                "# Contract report",
                f"Asked: {asked}, {at:%Y-%m-%d %H:%M} UTC. {_cost(findings)}",
                *map(_one_line, findings.remarks),
                _table(findings),
                "## What differs from the emulator's default",
                _differences(findings),
                "## What to configure",
                _configuration(findings),
                "## What is still open",
                _open_questions(findings),
                "## Requests of this run",
                ", ".join(f"`{_one_line(each)}`" for each in findings.request_ids) or "None.",
            ]
        )
        + "\n"
    )


def outcome_of(finding: Finding) -> str:
    """The answer in a word."""
    if finding.outcome is Outcome.SEEN and finding.value is not None:
        return f"`{finding.value}`"
    return "another" if finding.outcome is Outcome.SEEN else finding.outcome.value


def _cost(findings: Findings) -> str:
    return f"Charged: ${sum(findings.costs):.6f} for {len(findings.request_ids)} requests."


def _table(findings: Findings) -> str:
    by_name = {each.name: each for each in findings.complete()}
    lines = ["| # | Question | Field | Answer | Evidence |", "|---|---|---|---|---|"]
    for number, (question, names) in enumerate(QUESTIONS.items(), 1):
        for name in names:
            first = (str(number), question) if name == names[0] else ("", "")
            finding = by_name[name]
            cells = (*first, f"`{name}`", outcome_of(finding), _one_line(finding.evidence))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _differences(findings: Findings) -> str:
    lines = [f"- `{name}`: `{value}`" for name, value in findings.world.differences().items()]
    lines += [
        f"- `{each.name}`: {_one_line(each.evidence)}"
        for each in findings.complete()
        if each.outcome is Outcome.SEEN and each.value is None
    ]
    return "\n".join(lines) or "Nothing that was seen."


def _configuration(findings: Findings) -> str:
    changes = findings.world.differences()
    flags = [_flag(name, value) for name, value in changes.items()]
    fields = ", ".join(f"{name}={value!r}" for name, value in changes.items())
    command = " ".join(["python -m airflow_provider_segmind.emulator", *flags])
    return (
        "The emulator that behaves alike, on a port and in pytest. What was not seen is as documented.\n\n"
        f"```bash\n{command}\n```\n\n```python\nrunning_emulator({fields})\n```\n\n{_calls_of_a_request(findings)}"
    )


def _calls_of_a_request(findings: Findings) -> str:
    """What waiting costs there. The provider learns that from the first answer that it gets."""
    limit = "With `requests_per_minute` in the connection's extra, tasks keep to the key's limit from the start."
    by_name = {each.name: each for each in findings.complete()}
    status, body = by_name["running_status"], by_name["running_body"]
    if Outcome.SEEN not in (status.outcome, body.outcome):
        return f"Whether tasks can ask for the result in place of the status was not seen. {limit}"
    if body.value == "state" or status.value in _UNDERSTOOD:
        return f"Tasks ask for the result in place of the status: 2 requests for an output at least. {limit}"
    return f"Tasks ask for the status, and then for the result: 3 requests for an output at least. {limit}"


def _flag(name: str, value: object) -> str:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    return f"--{flag} {value}"


def _open_questions(findings: Findings) -> str:
    lines = [
        f"- `{each.name}` ({each.outcome}): {_one_line(each.evidence)}"
        for each in findings.complete()
        if each.outcome is not Outcome.SEEN
    ]
    return "\n".join(lines) or "Nothing."


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_EVIDENCE].replace("|", "\\|")
