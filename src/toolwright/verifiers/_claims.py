"""The verifier that needs no model: the arithmetic statements of a solution, checked exactly.

What it cannot see is a wrong plan carried out rightly. A passing verdict therefore says only that the arithmetic holds; a refutation says that the solution
has a false statement in it, not which answer is right.
"""

from __future__ import annotations

import re

from toolwright.checks import Claim, find_claims
from toolwright.episodes import Episode, Problem, Provenance, ToolResult, Verdict, digest

_BLANK = "\ue000"
"""A private character that no statement can hold, so nothing is read across a blanked stretch."""
_CODE = re.compile(r"<code>.*?(?:</code>|\Z)|<tool_call>.*?(?:</tool_call>|\Z)|```[ \t]*(?:python|py|python3|repl)\b.*?(?:```|\Z)", re.DOTALL | re.IGNORECASE)
_SHOWN = 3
_VERSION = 1


class ClaimsVerifier:
    """Refutes a solution that states something arithmetically false.

    Score 0: a statement of the model's own text is false; the reason names it, its place and the right value. Score 1: every statement that could be decided is
    true, which says nothing about the plan. None: there was no statement to decide.

    Text by tools and code for tools is not read: neither is a statement of the model (``assert 2 + 2 == 5`` is a question). Evidence: one `ToolResult` per
    false statement, with `start` and `end` in ``episode.text``, `text` and `expected` in its `meta`; and one that counts what was read.
    """

    name = "claims"

    @property
    def digest(self) -> str:
        return digest("claims", _VERSION)

    async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
        claims = find_claims(_own_words(episode))
        true = sum(claim.verdict is True for claim in claims)
        false = [claim for claim in claims if claim.verdict is False]
        counts = {"true": true, "false": len(false), "undecided": len(claims) - true - len(false)}
        evidence = (*map(_as_result, false), ToolResult(", ".join(f"{n} {kind}" for kind, n in counts.items()), tool=self.name, meta=counts))
        if false:
            more = f" (and {len(false) - _SHOWN} more)" if len(false) > _SHOWN else ""
            return Verdict(0.0, " ".join(_sentence(claim) for claim in false[:_SHOWN]) + more, self.name, evidence)
        if true:
            stated = "the one arithmetic statement that could be decided is" if true == 1 else f"all {true} arithmetic statements that could be decided are"
            return Verdict(1.0, f"{stated} true; the plan itself was not checked.".capitalize(), self.name, evidence)
        return Verdict(None, "No arithmetic statement could be decided.", self.name, evidence)


def _own_words(episode: Episode) -> str:
    """The episode's text with what is not the model's prose blanked out, so that places stay."""
    text = "".join(
        span.text if span.provenance is Provenance.MODEL else _BLANK * len(span.text) for span in episode.spans if span.provenance is not Provenance.PROMPT
    )
    return _CODE.sub(lambda code: _BLANK * len(code[0]), text)


def _sentence(claim: Claim) -> str:
    right = f"the right value is {claim.expected}" if claim.expected is not None else claim.reason
    return f"“{' '.join(claim.text.split())}” is false: {right} (at character {claim.start})."


def _as_result(claim: Claim) -> ToolResult:
    meta = {"start": claim.start, "end": claim.end, "text": claim.text, "expected": claim.expected}
    return ToolResult(_sentence(claim), ok=False, outcome="false", tool="claims", meta=meta)
