"""What can be decided about text without a model: the answer in it, and whether two answers are the same.

Leaves out anything that runs a model or a program; `verifiers` build on this.
"""

from toolwright.checks._answers import extract_answer
from toolwright.checks._claims import Claim, find_claims, refuted_claims
from toolwright.checks._equivalence import Equivalence, equivalent, grade

__all__ = ["Claim", "Equivalence", "equivalent", "extract_answer", "find_claims", "grade", "refuted_claims"]
