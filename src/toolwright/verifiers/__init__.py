"""Floor 2: what concludes about a candidate: its arithmetic claims, programs that check it, and many verdicts as one.

A verdict that could not decide is never *wrong*. Leaves out strategies: what a verdict means for the choice is decided in `scaling`.
"""

from __future__ import annotations

from toolwright.verifiers._claims import ClaimsVerifier
from toolwright.verifiers._combine import combine
from toolwright.verifiers._programs import extract_program, printed_verdict, why_no_check
from toolwright.verifiers._toolv_code import ToolVCode

__all__ = ["ClaimsVerifier", "ToolVCode", "combine", "extract_program", "printed_verdict", "why_no_check"]
