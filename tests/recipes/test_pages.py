"""Generated pages: filled from results, told when stale, and never half filled."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from toolwright.errors import UsageError
from toolwright.recipes import Measured, claim, pages, result, write_result
from toolwright.recipes._fragments import COMMANDS, FRAGMENTS, Sources, render

ROOT = Path(__file__).parents[2]
SHARE = {"share": 0.5, "low": 0.4, "high": 0.6, "count": 1, "of": 2}


def spread(name):
    return {name: 0.7, f"{name}_low": 0.6, f"{name}_high": 0.8}


POOL = {f"{kind}_refuted_{by}": SHARE for kind in ("right", "wrong") for by in ("ours", "rough")} | {"right": 7, "wrong": 5, "half": "held_out", "pool": "all"}
TABLES = {
    "claims": {
        "pools": [POOL],
        "models": [POOL | {"model": "a|b"}],
        "gold": [{"split": "test", "half": "held_out", "solutions": 9} | dict.fromkeys(("refuted", "decided", "caught", "caught_rough"), SHARE)],
    },
    "equivalence": {
        "pairs": [{"by": "ours", "pairs": 3, "right": 2, "false_equal": 0, "false_unequal": 0, "undecided": 1, "asymmetric": 0}],
        "math500": [{"against": "itself", "golds": 5, "equal": 5, "unequal": 0, "undecided": 0}],
    },
    "sandbox": {
        "sandbox": {
            "name": "sandbox, level 3",
            "apart": "level 3: landlock, seccomp",
            "trivial": {"p50_ms": 2.0, "per_second": 500.0, "p99_s_at_64": 0.1, "turn_ms": 0.1, "paced_ms": 0.2},
            "sympy": {"p50_ms": 4.0, "per_second": 250.0},
        },
        "bubblewrap": {
            "name": "bubblewrap",
            "apart": "namespaces",
            "sympy": {"p50_ms": 300.0, "per_second": 5.0, "ratio": {"at_2": {"median": 50.0, "low": 40.0, "high": 60.0}}},
        },
        "not_installed": {"pebble": "it is not installed"},
        "conditions": {"rounds": 5},
    },
    "soak": {
        "soak": {
            **dict.fromkeys(("answered", "per_second", "at_once", "wrong", "unanswered", "run_again_by_the_caller", "sessions_lost_to_kills"), 5),
            **{"outcomes": {"ok": 5000}, "zygotes_killed": 7, "supervisors_killed": 3, "p50_ms_first_tenth": 2.0, "p50_ms_last_tenth": None},
            "before": {"processes": 9, "descriptors": 200, "mib": 150.0},
            "after": {"processes": 9, "descriptors": 199, "mib": 151.0},
            "left": {"processes": 0, "files": 0, "descriptors": 0},
        }
    },
    "retrieval": {
        "scifact": [{"search": "fts5", "claims": 300, **spread("ndcg10"), **spread("recall3")}],
        "xquad": [{"passages": "all", "questions": 9, **spread("recall1"), **spread("recall3"), **spread("recall10")}],
        "encyclopedia": [{"entities": 2000, "twins": 6, "kind": kind, "query": "question", "problems": 9, **spread("recall3")} for kind in ("all", "one")],
        "mmlu_pro": [{"task": "mmlu_pro", "questions": 9, **spread("half_of_words_in_first")}],
        "latency": [{"queries": "q", "backend": "fts5", "passages": 9, "words": 12, "p50_ms": 1.0, "p90_ms": 2.0, "p99_ms": 3.0}],
    },
    "engine": {"speed": [{"model": "6M", "rows": 16, "lengths": "mixed", "engine_tokens_per_s": 2, "generate_tokens_per_s": 1, "ratio": 2.0}]},
    "attacks": {
        "rows": [{"number": 1, "attack": "loop", "must": "ends", "level_3": "timeout_cpu", "level_2": "a|b", "level_1": "", "played": 4, "held": 3}],
        "combinations": [
            {"user": "root", "level": 3, "way": "session", "played": 4, "held": 3, "met_limit": 1, "median_s": 0.01, "p99_s": 0.09, "most_s": None},
        ],
    },
    "solve": {"runs": [{"run": 0, "load_s": 3.0, "work_s": 4.0}]},
}
CARD = {
    "name": "pico", "parameters": 1053824, "digest": "d", "tokens": 2_000_000, "seconds": 3600, "settings": {"threads": 1}, "mixture": {"gsm8k_train": 0.16},
    "split": "s", "curve": [{"tokens": i * 100_000, "train_loss": 2.0, "validation": {"templates_text": {"loss": 1.0, "exact": 0.25}}} for i in range(1, 21)],
}  # fmt: skip


@pytest.fixture
def sources(tmp_path):
    for name, tables in TABLES.items():
        claims = [claim(f"{name}-x", "quick: median ≤ 6 s", "here", Measured(3.0, 2.0, 4.0), seen=False)]
        write_result(tmp_path / "results" / f"{name}.json", result(f"measure {name}", seconds=100, tables=tables, claims=claims))
    (tmp_path / "embedded" / "pico").mkdir(parents=True)
    (tmp_path / "embedded" / "pico" / "training.json").write_text(json.dumps(CARD))
    return Sources(tmp_path / "results", tmp_path / "embedded")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("claims", "| **all** | 7 | 50.00 | 50.00 | 5 | 50.00 | 50.00 |"),
        ("claims-gold", "| test, held-out half | 9 | 50.00 | 50.0 | 50.0 | 50.0 |"),
        ("claims-models", "| a\\|b | all | 7 | 50.00 | 5 | 50.0 |"),
        ("equivalence", "| itself | 5 | 5 | 0 | 0 |"),
        ("retrieval", "| fts5 | 300 | 0.700 (0.600–0.800) | 70.0 (60.0–80.0) |"),
        ("retrieval", "| q | fts5 | 9 | 12 | 1.0 | 2.0 | 3.0 |"),
        ("encyclopedia", "| 2,000 | 6 | one | 9 | 70.0 (60.0–80.0) |"),
        ("sandbox", "| sandbox, level 3 | 2.0 | – | 4.0 | 250 | – | 0.20 | 0.10 | level 3: landlock, seccomp |"),
        ("sandbox", "| bubblewrap | – | – | 300.0 | 5 | 50 (40–60) | – | – | namespaces |"),
        ("sandbox", "| pebble: not measured | – | – | – | – | – | – | – | it is not installed |"),
        ("soak", "| zygotes and supervisors killed | 7 and 3 |"),
        ("soak", "| descriptors of the helpers | 200 before, 199 after |"),
        ("engine", "| 6M | 16 | mixed | 2 | 1 | 2.0 |"),
        ("attacks", "| 1 | loop | ends | timeout_cpu | a\\|b | – | 3 of 4 |"),
        ("attacks-late", "| root | 3 | session | 4 | 3 | 1 | 10 | 90 | – |"),
        ("solve", "| quick | 3.0 | 2.0–4.0 | **no** |"),
        ("all-claims", "| quick: median ≤ 6 s | 3 (2–4) | – | **no** | `engine.json` |"),
        ("card-pico", "| parameters | 1,053,824 |"),
        ("curve-pico", "| 2.0M | 2.000 | 1.000 (25.0) |"),
    ],
)
def test_a_fragment_shows_the_numbers_of_its_file(sources, name, expected):
    made = render(name, sources)
    assert expected in made.splitlines()
    # Every table has as many cells in each row as in its head.
    for block in re.findall(r"(?:^\|.*\n?)+", made, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_the_curve_is_short_and_ends_where_training_ended(sources):
    rows = render("curve-pico", sources).splitlines()[2:]
    assert len(rows) == 8 and rows[0].startswith("| 0.1M") and rows[-1].startswith("| 2.0M")


@pytest.mark.parametrize("name", sorted(FRAGMENTS))
def test_what_is_not_measured_says_which_command_measures_it(tmp_path, name):
    made = render(name, Sources(tmp_path, tmp_path))
    assert re.search(r"[Nn]ot measured yet: run `.+`|not measured yet: run `.+`", made)
    assert "|" not in made


@pytest.mark.parametrize("command", COMMANDS.values())
def test_the_commands_that_are_told_exist(command):
    words = command.split()
    if words[0] == "scripts/bench":
        where = ROOT / "benchmarks" / f"{words[1]}.py"
    elif words[0] == "toolwright":
        where = ROOT / "src" / "toolwright" / "cli" / f"_{words[1]}.py"
    else:
        where = ROOT / "src" / (words[2].replace(".", "/") + ".py") if words[1] == "-m" else ROOT / words[1]
    assert where.is_file()


def test_a_broken_result_file_is_an_error_and_no_sentence(tmp_path):
    (tmp_path / "solve.json").write_text("{}")
    with pytest.raises(UsageError, match=r"solve\.json"):
        render("solve", Sources(tmp_path, tmp_path))


PAGE = "before\n\n<!-- generated: solve -->\nold\n<!-- end -->\n\nbetween\n<!-- generated: claims -->\n<!-- end -->\nafter\n"


def test_only_what_stands_between_the_markers_changes():
    made = pages.filled(PAGE, "p.md", lambda name: f"new {name}")
    assert made == PAGE.replace("old\n", "new solve\n").replace("claims -->\n", "claims -->\nnew claims\n")
    assert pages.filled(made, "p.md", lambda name: f"new {name}") == made


def test_unknown_fragments_and_open_markers_are_told():
    with pytest.raises(UsageError, match="'wonder'"):
        pages.filled("<!-- generated: wonder -->\n<!-- end -->", "p.md", str)
    with pytest.raises(UsageError, match=r"p\.md has a line"):
        pages.filled("<!-- generated: solve -->\n", "p.md", str)


def test_check_fails_until_the_pages_are_written(tmp_path, monkeypatch, capsys):
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "README.md").write_text(PAGE)
    monkeypatch.setattr(pages, "help_pages", lambda: "the help")
    with pytest.raises(SystemExit) as left:
        pages.main(["--check", "--root", str(tmp_path)])
    assert left.value.code == 1 and "README.md is stale" in capsys.readouterr().err
    assert (tmp_path / "README.md").read_text() == PAGE
    pages.main(["--root", str(tmp_path)])
    assert "the help" in (tmp_path / "docs" / "cli.md").read_text()
    assert COMMANDS["solve"] in (tmp_path / "README.md").read_text()
    capsys.readouterr()
    pages.main(["--check", "--root", str(tmp_path)])
    assert capsys.readouterr().err == ""


def test_a_folder_without_docs_is_told(tmp_path):
    with pytest.raises(UsageError, match="no docs folder"):
        pages.stale(tmp_path)


def test_every_page_of_the_project_is_fresh():
    assert [path.name for path in pages.stale(ROOT)] == []


def test_every_command_is_on_its_page():
    text = pages.help_pages()
    headings = re.findall(r"^## (toolwright.*)$", text, re.MULTILINE)
    assert headings[0] == "toolwright" and {"toolwright solve", "toolwright eval", "toolwright sandbox run", "toolwright train embedded"} <= set(headings)
    assert headings.index("toolwright sandbox run") == headings.index("toolwright sandbox") + 1
    assert "--json" in text and "\x1b" not in text and sys.executable not in text
