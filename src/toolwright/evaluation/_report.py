"""What an evaluation says: rows per strategy and n, the oracle, paired differences, the filters' report cards. Plain data with a JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

REPORT_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One strategy at one n.

    For n below the number of samples, each problem counts with its mean over random subsets of n samples (all of them, where they are few), so accuracy and
    cost are those to expect of a fresh run with n. The interval is 95 % Wilson over problems, wider than needed where problems count with means.
    """

    task: str
    strategy: str
    n: int
    accuracy: float | None
    """Of the `problems` that could be judged; None where none could."""
    low: float
    high: float
    problems: int
    """That `accuracy` is over: those with a decided grade. Undecided grades and faults are counted below and are never a silent 0."""
    cost: Mapping[str, float]
    """Mean per problem: `prompt_tokens`, `model_tokens`, `tool_calls`, `wall_s` (summed over samples, as if drawn one after the other)."""
    undecided: float = 0.0
    """Problems (in means over subsets) whose answer could be judged neither right nor wrong; left out of `accuracy`."""
    unusable: float = 0.0
    """Problems where every sample ended in a fault; left out of `accuracy`."""
    fallbacks: float = 0.0
    """Share of choices where the strategy could not do what its name says."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more accurate one strategy is than another on the same problems: paired bootstrap, 95 %."""

    a: str
    a_n: int
    b: str
    b_n: int
    difference: float
    """Accuracy of a less accuracy of b."""
    low: float
    high: float
    problems: int


@dataclass(frozen=True, slots=True)
class FilterCard:
    """How a verifier did against the gold answers, over samples with a decided grade."""

    verifier: str
    """Its name; `all` is what the strategies see: refuted if any refutes. Verifiers are asked in order until one refutes, so later ones see fewer samples."""
    refuted_right: int = 0
    refuted_wrong: int = 0
    passed_right: int = 0
    passed_wrong: int = 0
    undecided_right: int = 0
    undecided_wrong: int = 0
    ungraded: int = 0
    """Samples it judged whose answer could be graded neither right nor wrong."""
    problems_with_right: int = 0
    problems_lost: int = 0
    """Of those, where every right sample was refuted."""

    @property
    def false_refutation(self) -> float | None:
        """Share of right samples that it refutes."""
        return _share(self.refuted_right, self.refuted_right + self.passed_right + self.undecided_right)

    @property
    def caught(self) -> float | None:
        """Share of wrong samples that it refutes."""
        return _share(self.refuted_wrong, self.refuted_wrong + self.passed_wrong + self.undecided_wrong)

    @property
    def precision(self) -> float | None:
        """Share of refuted samples that are wrong."""
        return _share(self.refuted_wrong, self.refuted_wrong + self.refuted_right)


@dataclass(frozen=True, slots=True)
class Report:
    """An evaluation of one task."""

    task: str
    model: str
    samples: int
    """Drawn per problem, beside the greedy one."""
    problems: int
    run_seed: int
    results: tuple[Row, ...]
    oracle: tuple[Row, ...] = ()
    """pass@n: how often at least one of n samples is right; unbiased over all samples. What a perfect choice would reach."""
    differences: tuple[Difference, ...] = ()
    filters: tuple[FilterCard, ...] = ()
    faults: int = 0
    """Samples that ended in a fault; they have no say and are never scored."""
    fault_reasons: Mapping[str, int] = field(default_factory=dict)
    undecided_grades: int = 0
    """Samples whose answer could be judged neither right nor wrong."""
    task_digest: str = ""
    setup: str = ""
    """Digest of model, prompt, parameters, dialect and tools."""

    def row(self, strategy: str, n: int) -> Row:
        """The row of a strategy and n. Raises: KeyError where there is none."""
        for row in (*self.results, *self.oracle):
            if (row.strategy, row.n) == (strategy, n):
                return row
        raise KeyError(f"no row for {strategy} at n = {n}")

    def to_json(self) -> dict[str, Any]:
        """The report as JSON holds it; `results` has one entry per task, strategy and n."""
        data = {"schema": REPORT_SCHEMA, **asdict(self)}
        for card, made in zip(data["filters"], self.filters, strict=True):
            card |= {"false_refutation": made.false_refutation, "caught": made.caught, "precision": made.precision}
        return data

    def table(self) -> str:
        """The report as lines of text for a terminal."""
        lines = [
            f"{self.task}: {self.problems} problems, {self.model}",
            f"{'strategy':<12}{'n':>4}{'accuracy':>10}  {'95 % interval':<16}{'tokens':>9}{'calls':>7}",
        ]
        for row in (*self.results, *self.oracle):
            accuracy = "–" if row.accuracy is None else f"{100 * row.accuracy:.1f}"
            interval = f"{100 * row.low:.1f} – {100 * row.high:.1f}"
            lines.append(f"{row.strategy:<12}{row.n:>4}{accuracy:>10}  {interval:<16}{row.cost['model_tokens']:>9.0f}{row.cost['tool_calls']:>7.1f}")
        for card in self.filters:
            lines.append(f"filter {card.verifier}: refutes {_percent(card.caught)} of wrong and {_percent(card.false_refutation)} of right samples")
        if self.faults or self.undecided_grades:
            lines.append(f"left out: {self.faults} samples that ended in a fault, {self.undecided_grades} whose grade is undecided")
        return "\n".join(lines)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
