"""Whether answers are the same: the pairs of the study, the laws of an equivalence, and workers that hang."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolwright.checks import Equivalence, equivalent, grade
from toolwright.errors import UsageError

PAIRS = [json.loads(line) for line in files("toolwright.recipes").joinpath("equivalence_pairs.jsonl").read_text(encoding="utf-8").splitlines()]
HANGS = ("\\frac{d}{dx}x^{x^{x^{x}}}", "\\int e^{e^{e^x}} \\sin(x^x) dx")
"""A pair on which sympy does not come back."""


@pytest.fixture(scope="module")
def equivalence() -> Iterator[Equivalence]:
    with Equivalence(workers=1, deadline_s=10) as shared:
        yield shared


@pytest.fixture(scope="module")
def hurried() -> Iterator[Equivalence]:
    with Equivalence(workers=1, deadline_s=2) as shared:
        yield shared


@pytest.mark.parametrize("kind", sorted({pair["kind"] for pair in PAIRS}))
def test_no_pair_of_the_study_is_wrong(kind: str, equivalence: Equivalence) -> None:
    wrong = []
    for pair in PAIRS:
        if pair["kind"] == kind:
            verdict = equivalence.compare(pair["a"], pair["b"])
            if verdict is not None and verdict is not pair["equal"]:
                wrong.append((pair["a"][:60], pair["b"][:60], verdict))
    assert not wrong


def test_few_pairs_of_the_study_are_undecided(equivalence: Equivalence) -> None:
    assert len(PAIRS) >= 320
    undecided = [pair for pair in PAIRS if equivalence.compare(pair["a"], pair["b"]) is None]
    assert len(undecided) <= 0.05 * len(PAIRS)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("10%", "10"),
        ("1,2", "(1,2)"),
        ("1,2", "1.2"),
        ("100,200", "100, 200"),
        ("30^\\circ", "\\frac{\\pi}{6}"),
        ("2516_8", "2516"),
        ("36", "40_9"),
        ("5 apples", "5 pieces"),
        ("10 m", "10"),
        ("3.14159265", "\\pi"),
        ("0.30000000000000004", "0.3"),
        ("\\log 100", "2"),
        ("3R^2", "3r^2"),
        ("B", "b"),
        ("1, 1, 2", "1, 2"),
        ("Navin", "Navin Smith"),
        ("2003^{2002^{2001}}", "2003^{2002^{2002}}"),
        ("(1,2)", "\\begin{pmatrix}1\\\\2\\end{pmatrix}"),
        ("(B) 12", "12"),
    ],
)
def test_what_depends_on_the_question_is_undecided(a: str, b: str, equivalence: Equivalence) -> None:
    assert equivalence.compare(a, b) is None
    assert equivalence.compare(b, a) is None


ATOMS = st.one_of(
    st.integers(-30, 30).map(str),
    st.integers(0, 9999).map(lambda n: f"{n:,}"),
    st.fractions(-5, 5, max_denominator=12).map(str),
    st.fractions(0, 5, max_denominator=12).map(lambda f: f"\\frac{{{f.numerator}}}{{{f.denominator}}}"),
    st.decimals(-20, 20, places=2, allow_nan=False).map(str),
    st.integers(1, 12).map(lambda n: f"\\sqrt{{{n}}}"),
    st.integers(1, 60).map(lambda n: f"{n}%"),
    st.integers(1, 9).map(lambda n: f"{n} km"),
    st.integers(1, 9).map(lambda n: f"${n}.00"),
    st.integers(1, 9).map(lambda n: f"{n}^\\circ"),
    st.sampled_from(
        ["x+1", "1+x", "x", "2x", "\\pi", "e", "east", "yes", "B", "(B)", "x=5", "\\{1,2\\}", "", "$", "\\", "\\frac", "((", "x^", "<", "=", "0x", "½", "1e5"]
    ),
)
ANSWERS = st.one_of(
    ATOMS,
    st.lists(ATOMS, min_size=2, max_size=3).map(", ".join),
    st.tuples(ATOMS, ATOMS).map(lambda pair: f"({pair[0]}, {pair[1]})"),
    st.tuples(ATOMS, ATOMS).map(lambda pair: f"{pair[0]} + {pair[1]}"),
    st.text(max_size=8),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(a=ANSWERS, b=ANSWERS)
def test_symmetric(a: str, b: str, equivalence: Equivalence) -> None:
    forth = equivalence.compare(a, b)
    with_fresh_cache = Equivalence(workers=1, deadline_s=10)
    with_fresh_cache._workers = equivalence._workers
    assert with_fresh_cache.compare(b, a) is forth


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(a=ANSWERS)
def test_reflexive(a: str, equivalence: Equivalence) -> None:
    assert equivalence.compare(a, a) is True
    assert equivalence.compare(a, f" {a} ") is True
    assert equivalence.compare(f"${a}$", a) is not False or "$" in a


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(st.fractions(-50, 50, max_denominator=30), min_size=3, max_size=3), style=st.integers(0, 3))
def test_rationals_are_exact(numbers: list[object], style: int, equivalence: Equivalence) -> None:
    write = [str, lambda f: f"\\frac{{{f.numerator}}}{{{f.denominator}}}", lambda f: f"x = {f}", lambda f: f"$\\left({f}\\right)$"]
    for a, b in itertools.combinations(numbers, 2):
        assert equivalence.compare(write[style](a), str(b)) is (a == b)  # type: ignore[operator]


def test_clusters_are_numbered_by_first_appearance(equivalence: Equivalence) -> None:
    answers = ["0.5", None, "7", "\\frac12", "seven", "2/4", None, "1/3", "$\\boxed{7}$"]
    assert equivalence.cluster(answers) == [0, None, 1, 0, 1, 0, None, 2, 1]


def test_clusters_do_not_chain_through_a_missing_unit(equivalence: Equivalence) -> None:
    assert equivalence.cluster(["5", "5 km", "5 m"]) == [0, 0, 1]
    assert equivalence.cluster(["5 km", "5 m", "5"]) == [0, 1, 0]


def test_percentages_join_the_reading_the_others_have(equivalence: Equivalence) -> None:
    assert equivalence.cluster(["10%", "10", "25"]) == [0, 0, 1]
    assert equivalence.cluster(["10", "10\\%", "10 percent"]) == [0, 0, 0]
    assert equivalence.cluster(["10%", "0.1", "10"]) == [0, 0, 1]
    assert equivalence.cluster(["10", "0.1", "10%"]) == [0, 1, 1]


def test_no_answers_make_no_clusters(equivalence: Equivalence) -> None:
    assert equivalence.cluster([]) == []
    assert equivalence.cluster([None, None]) == [None, None]


def test_sixty_four_candidates_take_few_worker_calls() -> None:
    rational = ["12", "12.0", "$12", "12 dollars", "\\frac{24}{2}", "13", "1/3", "0.25"] * 8
    irrational = ["\\sqrt{8}", "2\\sqrt{2}", "2^{3/2}", "\\sin 1", "\\sin(1)", "x+1", "1+x", "(x+1)^2"] * 8
    with Equivalence(workers=1, deadline_s=10) as fresh:
        assert max(n for n in fresh.cluster(rational) if n is not None) == 3
        assert fresh.worker_calls == 0
        assert fresh.cluster(irrational)[:8] == [0, 0, 0, 1, 1, 2, 2, 3]
        assert fresh.worker_calls <= 6
        calls = fresh.worker_calls
        fresh.cluster(irrational)
        assert fresh.worker_calls == calls


def test_a_hang_is_undecided_within_the_deadline_and_the_next_call_works() -> None:
    with Equivalence(workers=1, deadline_s=0.5) as fresh:
        assert fresh.compare("\\sin 1", "\\cos 1") is False
        first = fresh.worker_pids
        start = time.monotonic()
        assert fresh.compare(*HANGS) is None
        assert time.monotonic() - start < 4
        assert not _alive(first[0])
        assert fresh.compare("(x+1)^2", "x^2+2x+1") is True
        assert fresh.worker_pids != first


def test_a_worker_killed_from_outside_costs_one_verdict() -> None:
    with Equivalence(workers=1, deadline_s=10) as fresh:
        fresh.compare("\\sin 1", "\\cos 1")
        os.kill(fresh.worker_pids[0], 9)
        time.sleep(0.1)
        assert fresh.compare("\\sin 2", "\\cos 2") is None
        assert fresh.compare("\\sin 3", "\\cos 3") is False


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("1" * 1_000_000, "1" * 1_000_000, True),
        ("1" * 1_000_000, "1" * 999_999 + "2", False),
        ("1" * 10_000, "1" * 9_999 + "2", False),
        ("0" + "1" * 10_000, "1" * 10_000 + ".0", True),
        ("1" * 10_000, "5", False),
        ("9" * 3_000, "9" * 3_000 + "x", None),
        ("10^{1000000}", "10^{1000001}", None),
        ("(" * 500 + "1" + ")" * 500, "1", None),
        ("x^" * 300 + "2", "3", None),
        ("1+" * 5_000 + "1", "5001", None),
        ("999999999!", "1", None),  # None: may be left open, must not be equal
        ("9^{9^{9^{9}}}", "7", None),
        ("\\sqrt{" * 80 + "2" + "}" * 80, "2", None),
        ("2^{64000}+\\sqrt{2}", "2^{64000}", False),
        ("1e999999999", "1", None),
        ("\\binom{1000000}{500000}", "1", None),
    ],
)
def test_monsters_take_bounded_time(a: str, b: str, expected: bool | None, hurried: Equivalence) -> None:
    hurried.compare("\\sin 1", "\\cos 1")
    start = time.monotonic()
    verdict = hurried.compare(a, b)
    assert verdict is expected or (expected is None and verdict is False)
    assert time.monotonic() - start < 12


def test_threads_and_event_loops_share_one() -> None:
    pairs = [(f"(x+{n})^2", f"x^2+{2 * n}x+{n * n}") for n in range(1, 9)]
    found: list[bool | None] = []
    with Equivalence(workers=2, deadline_s=20) as fresh:
        threads = [threading.Thread(target=lambda p=pair: found.append(fresh.compare(*p))) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [True] * 8
        assert len(fresh.worker_pids) <= 2

        async def gather() -> list[bool | None]:
            return list(await asyncio.gather(*(asyncio.to_thread(fresh.compare, a.replace("x", "y"), b.replace("x", "y")) for a, b in pairs)))

        assert asyncio.run(gather()) == [True] * 8
        assert asyncio.run(gather()) == [True] * 8


def test_close_ends_the_workers_and_what_follows() -> None:
    fresh = Equivalence(workers=1)
    assert fresh.worker_pids == []
    fresh.compare("\\sin 1", "\\cos 1")
    (pid,) = fresh.worker_pids
    fresh.close()
    fresh.close()
    assert not _alive(pid)
    assert fresh.compare("1/2", "0.5") is True
    with pytest.raises(UsageError, match="closed"):
        fresh.compare("\\sin 1", "\\cos 2")


def test_close_ends_a_worker_in_use() -> None:
    fresh = Equivalence(workers=1, deadline_s=60)
    fresh.compare("\\sin 1", "\\cos 1")
    (pid,) = fresh.worker_pids
    found: list[bool | None] = []
    thread = threading.Thread(target=lambda: found.append(fresh.compare(*HANGS)))
    thread.start()
    time.sleep(0.3)
    fresh.close()
    thread.join(10)
    assert found == [None]
    assert not _alive(pid)


@pytest.mark.parametrize("end", ["pass", "import os; os.kill(os.getpid(), 9)", "raise SystemExit(3)"])
def test_no_worker_outlives_its_program(end: str) -> None:
    program = (
        "from toolwright.checks import Equivalence\n"
        f"e = Equivalence(workers=1); e.compare('\\\\sin 1', '\\\\cos 1'); print(e.worker_pids[0], flush=True); {end}"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False, env=environment)
    pid = int(finished.stdout)
    until = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _alive(pid)
    assert "Traceback" not in finished.stderr


def test_a_forked_child_starts_workers_of_its_own() -> None:
    program = (
        "import os, warnings; warnings.simplefilter('ignore'); from toolwright.checks import Equivalence; e = Equivalence(workers=1, deadline_s=20)\n"
        "e.compare('\\\\sin 1', '\\\\cos 1'); mine = e.worker_pids\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    same = e.compare('(y+1)^2', 'y^2+2y+1'); other = e.worker_pids != mine; e.close(); os._exit(0 if same and other else 1)\n"
        "status = os.waitpid(child, 0)[1]\n"
        "print(status, e.compare('(z+1)^2', 'z^2+2z+1'), e.worker_pids == mine)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert finished.stdout.split() == ["0", "True", "True"], finished.stderr


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [
        ("10", "10%", True),
        ("10%", "10", True),
        ("0.1", "10%", True),
        ("11", "10%", False),
        ("3, 4", "(3, 4)", True),
        ("4, 3", "(3, 4)", None),
        ("(1,-2)", "1,-2", True),
        ("2516", "2516_8", True),
        ("2600 g", "2600", True),
        ("x=5", "5", True),
        (None, "5", False),
        ("", "5", False),
        ("  ", "5", False),
        ("5", "5", True),
        ("6", "5", False),
    ],
)
def test_grade_reads_the_answer_as_the_gold_is_written(answer: str | None, gold: str, expected: bool | None, equivalence: Equivalence) -> None:
    assert equivalence.grade(answer, gold) is expected


def test_grade_of_choices() -> None:
    choices = ("12", "15", "the red one")
    assert grade("(B)", "B", choices=choices) is True
    assert grade("15", "B", choices=choices) is True
    assert grade("B", "15", choices=choices) is True
    assert grade("the red one", "B", choices=choices) is False
    assert grade("G", "B", choices=choices) is False
    assert grade(None, "B", choices=choices) is False
    with pytest.raises(UsageError, match="none of the 3 choices"):
        grade("A", "Q", choices=choices)


def test_bad_input_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="an answer is text, not int"):
        equivalent("5", 5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="above 0"):
        Equivalence(workers=0)
    with pytest.raises(UsageError, match="above 0"):
        Equivalence(deadline_s=0)


def test_the_module_level_function_decides_in_process() -> None:
    assert equivalent("1/2", "0.5") is True
    assert equivalent("1/2", "1/3") is False


@pytest.mark.skipif("TOOLWRIGHT_DATA" not in os.environ, reason="TOOLWRIGHT_DATA is not set")
def test_math500_golds_equal_themselves_and_their_sympy_form(equivalence: Equivalence) -> None:
    rows = Path(os.environ["TOOLWRIGHT_DATA"], "math", "math500.jsonl").read_text(encoding="utf-8").splitlines()
    golds = [json.loads(row)["answer"] for row in rows]
    rewritten = [equivalence.rewrite(gold) or gold for gold in golds]
    verdicts = [equivalence.compare(gold, f"$\\boxed{{{other}}}$") for gold, other in [*zip(golds, golds, strict=True), *zip(golds, rewritten, strict=True)]]
    assert False not in verdicts
    assert verdicts[: len(golds)].count(None) == 0
    assert verdicts.count(None) <= 0.02 * len(golds)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
