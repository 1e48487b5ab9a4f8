"""Floor 2: what concludes about a candidate: its arithmetic claims, programs that check it, and many verdicts as one.

A verdict that could not decide is never *wrong*. Leaves out strategies: what a verdict means for the choice is decided in `scaling`.
"""

from __future__ import annotations

from toolwright.verifiers._claims import ClaimsVerifier
from toolwright.verifiers._combine import combine
from toolwright.verifiers._crosscheck import Variants, runnable, variants
from toolwright.verifiers._facts_prompt import ChatFacts, FactForm
from toolwright.verifiers._forms import (
    ChatJudge,
    ChatPrograms,
    ChatSteps,
    JudgeForm,
    ProgramForm,
    StepForm,
    TaggedJudge,
    TaggedPrograms,
    TaggedSteps,
    step_text,
)
from toolwright.verifiers._genrm import GenRM, verdict_said
from toolwright.verifiers._literals import why_not_worked_out
from toolwright.verifiers._prm import ServedRM, StepRM, reduce_steps
from toolwright.verifiers._programs import extract_program, printed_verdict, why_no_check
from toolwright.verifiers._sameness import same
from toolwright.verifiers._steps import split_steps
from toolwright.verifiers._toolv_code import ProgramRunner, ToolVCode
from toolwright.verifiers._toolv_facts import Documents, Retrieved, ToolVFacts

__all__ = [
    "ChatFacts",
    "ChatJudge",
    "ChatPrograms",
    "ChatSteps",
    "ClaimsVerifier",
    "Documents",
    "FactForm",
    "GenRM",
    "JudgeForm",
    "ProgramForm",
    "ProgramRunner",
    "Retrieved",
    "ServedRM",
    "StepForm",
    "StepRM",
    "TaggedJudge",
    "TaggedPrograms",
    "TaggedSteps",
    "ToolVCode",
    "ToolVFacts",
    "Variants",
    "combine",
    "extract_program",
    "printed_verdict",
    "reduce_steps",
    "runnable",
    "same",
    "split_steps",
    "step_text",
    "variants",
    "verdict_said",
    "why_no_check",
    "why_not_worked_out",
]
