"""What an evaluation says: rows per strategy and n, the oracle, paired differences, the filters' report cards. Plain data with a JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

REPORT_SCHEMA = 2


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
    band_low: float | None = None
    """95 % bootstrap over problems, of their means over subsets: narrower than the Wilson interval where problems count with means."""
    band_high: float | None = None
    gap: float | None = None
    """What a perfect choice among as many samples would add: pass@n less accuracy, both over all problems each could be judged on."""
    flops: float | None = None
    """Mean per problem, 2 × parameters × (prompt and model tokens); None where the number of parameters is not known."""


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
    problems_with_one_right: int = 0
    only_right_lost: int = 0
    """Of those with exactly one right sample, where it was refuted."""
    timed_out: int = 0
    """Samples where a check ran out of time."""

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

    @property
    def kept_precision(self) -> float | None:
        """Share of kept samples (passed or undecided) that are right."""
        kept_right = self.passed_right + self.undecided_right
        return _share(kept_right, kept_right + self.passed_wrong + self.undecided_wrong)

    @property
    def kept_recall(self) -> float | None:
        """Share of right samples that it keeps."""
        return None if self.false_refutation is None else 1 - self.false_refutation

    @property
    def samples(self) -> int:
        """Judged, with a decided grade."""
        return self.refuted_right + self.refuted_wrong + self.passed_right + self.passed_wrong + self.undecided_right + self.undecided_wrong

    @property
    def abstained(self) -> float | None:
        """Share of samples that it could not decide."""
        return _share(self.undecided_right + self.undecided_wrong, self.samples)

    @property
    def timed_out_share(self) -> float | None:
        """Share of all samples it judged where a check ran out of time."""
        return _share(self.timed_out, self.samples + self.ungraded)


@dataclass(frozen=True, slots=True)
class Bin:
    """Samples with scores of a range."""

    low: float
    high: float
    samples: int
    score: float
    """Their mean score."""
    right: float
    """The share of them that is right."""


@dataclass(frozen=True, slots=True)
class ScoreCard:
    """How a score did against the gold answers, over samples with a decided grade. Liked: a score of 0.5 or more."""

    score: str
    """A reward model's name; `probability`: the geometric mean per token; `vote share`: of the answer among all samples of the problem."""
    liked_right: int = 0
    liked_wrong: int = 0
    disliked_right: int = 0
    disliked_wrong: int = 0
    liked_refuted_right: int = 0
    """Of the liked right ones, those that the filters refute all the same."""
    liked_refuted_wrong: int = 0
    undecided: int = 0
    auc: float | None = None
    """The chance that a right sample scores above a wrong one of any problem."""
    auc_within: float | None = None
    """The same among samples of one problem, mean over problems with both: what choosing depends on."""
    ece: float | None = None
    """Expected calibration error over bins of equal width."""
    bins: tuple[Bin, ...] = ()

    @property
    def right(self) -> int:
        """Right samples with a score."""
        return self.liked_right + self.disliked_right

    @property
    def wrong(self) -> int:
        """Wrong samples with a score."""
        return self.liked_wrong + self.disliked_wrong

    @property
    def precision(self) -> float | None:
        """Share of liked samples that are right."""
        return _share(self.liked_right, self.liked_right + self.liked_wrong)

    @property
    def recall(self) -> float | None:
        """Share of right samples that are liked."""
        return _share(self.liked_right, self.right)

    @property
    def filtered_precision(self) -> float | None:
        """Share of right ones among those liked and not refuted."""
        right = self.liked_right - self.liked_refuted_right
        return _share(right, right + self.liked_wrong - self.liked_refuted_wrong)

    @property
    def filtered_recall(self) -> float | None:
        """Share of right samples that are liked and not refuted."""
        return _share(self.liked_right - self.liked_refuted_right, self.right)


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
    baselines: tuple[Row, ...] = ()
    """What costs nothing to know beside it: a random sample, greedy and the majority, where they are not among the results."""
    differences: tuple[Difference, ...] = ()
    filters: tuple[FilterCard, ...] = ()
    scores: tuple[ScoreCard, ...] = ()
    parameters: int | None = None
    """Of the model, where the engine tells."""
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
        for row in (*self.results, *self.baselines, *self.oracle):
            if (row.strategy, row.n) == (strategy, n):
                return row
        raise KeyError(f"no row for {strategy} at n = {n}")

    def to_json(self) -> dict[str, Any]:
        """The report as JSON holds it; `results` has one entry per task, strategy and n."""
        data = {"schema": REPORT_SCHEMA, **asdict(self)}
        for card, made in zip(data["filters"], self.filters, strict=True):
            card |= {name: getattr(made, name) for name in FILTER_SHARES}
        for card, score in zip(data["scores"], self.scores, strict=True):
            card |= {name: getattr(score, name) for name in SCORE_SHARES}
        return data

    def table(self) -> str:
        """The report as lines of text for a terminal."""
        lines = [
            f"{self.task}: {self.problems} problems, {self.model}",
            f"{'strategy':<14}{'n':>4}{'accuracy':>10}  {'95 % interval':<16}{'to oracle':>10}{'tokens':>9}{'calls':>7}",
        ]
        for row in (*self.results, *self.baselines, *self.oracle):
            interval = f"{100 * row.low:.1f} – {100 * row.high:.1f}"
            gap = "" if row.gap is None else f"{100 * row.gap:+.1f}"
            cost = f"{row.cost['model_tokens']:>9.0f}{row.cost['tool_calls']:>7.1f}"
            lines.append(f"{row.strategy:<14}{row.n:>4}{percent(row.accuracy):>10}  {interval:<16}{gap:>10}{cost}")
        lines += [line for card in self.filters for line in _filter_lines(card)]
        lines += [_score_line(card) for card in self.scores]
        if self.faults or self.undecided_grades:
            lines.append(f"left out: {self.faults} samples that ended in a fault, {self.undecided_grades} whose grade is undecided")
        return "\n".join(lines)

    def html(self) -> str:
        """The report as one HTML page that needs nothing else."""
        from toolwright.evaluation._html import page

        return page([self])


FILTER_SHARES = ("false_refutation", "caught", "precision", "kept_precision", "kept_recall", "abstained", "timed_out_share")
SCORE_SHARES = ("precision", "recall", "filtered_precision", "filtered_recall")


def percent(share: float | None) -> str:
    """A share as a number of per cent; a dash for none."""
    return "–" if share is None else f"{100 * share:.1f}"


def _filter_lines(card: FilterCard) -> list[str]:
    lines = [
        f"filter {card.verifier}: refutes {percent(card.caught)} % of wrong and {percent(card.false_refutation)} % of right samples; "
        f"{percent(card.precision)} % of what it refutes is wrong; it could not decide {percent(card.abstained)} %"
    ]
    lost = f"  problems with a right sample that lost all of them: {card.problems_lost} of {card.problems_with_right}"
    lines.append(f"{lost}; the only right one was refuted in {card.only_right_lost} of {card.problems_with_one_right}")
    if card.timed_out:
        lines.append(f"  ran out of time on {percent(card.timed_out_share)} % of samples")
    return lines


def _score_line(card: ScoreCard) -> str:
    within = "–" if card.auc_within is None else f"{card.auc_within:.3f}"
    overall = "–" if card.auc is None else f"{card.auc:.3f}"
    error = "–" if card.ece is None else f"{card.ece:.3f}"
    return f"score {card.score}: AUC {overall} (within a problem {within}), calibration error {error}, {card.undecided} undecided"


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
