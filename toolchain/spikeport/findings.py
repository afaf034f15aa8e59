"""What spikeport has to say about a model: findings, and the error that carries them.

A finding is one sentence that a tired person can act on: a stable code, where, what, why, and how to mend it.
The catalogue of codes, with a page for each, is in ``catalogue/*.toml``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Never

Severity = Literal["error", "substituted", "note"]
LONGEST = 1000  #: characters of each part of a finding


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found.

    ``error`` stops the work, ``substituted`` says that something was replaced by something else and what that costs,
    ``note`` states a choice that was made for the user.
    """

    code: str  #: ``SP`` and three digits, stable for ever
    what: str  #: the fact, with the numbers that show it
    where: str = ""  #: file and node, as the user names them
    why: str = ""  #: why it matters: what would happen otherwise
    mend: str = ""  #: what to do about it
    severity: Severity = "error"

    def __post_init__(self) -> None:
        for name in ("what", "where", "why", "mend"):  # what a file holds may be quoted in any of them
            text = getattr(self, name)
            if len(text) > LONGEST:  # both ends: a name stands first, and what a traceback says last
                begin, end = text[: LONGEST // 2], text[-LONGEST // 2 :]
                object.__setattr__(self, name, f"{begin} … ({len(text):,} characters) … {end}")

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        lines = [head, *(line for line in (self.why, self.mend) if line)]
        return f"{self.code}  " + "\n       ".join(lines)


class SpikeportError(Exception):
    """Raised with every problem that was found, not only the first one."""

    def __init__(self, findings: Finding | Iterable[Finding]) -> None:
        self.findings: tuple[Finding, ...] = (findings,) if isinstance(findings, Finding) else tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))

    @property
    def code(self) -> str:
        """The code of the first finding."""
        return self.findings[0].code


def fail(code: str, what: str, *, where: str = "", why: str = "", mend: str = "") -> Never:
    """Raise a `SpikeportError` with one finding."""
    raise SpikeportError(Finding(code, what, where, why, mend))


def require(condition: bool, code: str, what: str, *, where: str = "", why: str = "", mend: str = "") -> None:
    """Raise a `SpikeportError` with one finding unless ``condition`` holds."""
    if not condition:
        fail(code, what, where=where, why=why, mend=mend)


def raise_errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Raise if any finding is an error; return the others."""
    findings = tuple(findings)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise SpikeportError(errors)
    return findings
