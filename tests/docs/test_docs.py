"""What the documents say is so: links lead somewhere, the README's program runs and prints what stands there, generated parts are fresh, versions agree."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import toolwright

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "LOG.md", *sorted((ROOT / "docs").glob("*.md"))]
HAS_NANO = (Path(str(files("toolwright"))) / "embedded" / "nano" / "model.safetensors").is_file()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_exist(path):
    if path.name in ("LOG.md", "data.md", "templates.md"):
        pytest.skip("names files of the past or of a user's data folder")
    for name in re.findall(r"`((?:scripts|results|benchmarks|tests|docs)/[\w./-]+)`", path.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), f"{path.name} names {name}"


@pytest.mark.skipif(not HAS_NANO, reason="the embedded model nano is not in this installation")
def test_the_readmes_program_prints_what_stands_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    program, printed = re.search(r"```python\n(from toolwright import Solver.*?)```\n+```\n(.*?)```", text, re.DOTALL).groups()  # type: ignore[union-attr]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    # The answer must be the same everywhere; which candidate was refuted first may differ by the last bit of a float.
    assert done.stdout.splitlines()[0] == printed.splitlines()[0]
    assert "is false: the right value is" in done.stdout


def test_generated_parts_are_fresh():
    done = subprocess.run([sys.executable, "-m", "toolwright.recipes.pages", "--check"], capture_output=True, text=True, cwd=ROOT, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr


def test_versions_agree():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = next(v for v in re.findall(r"^## (\S+)", changelog, re.MULTILINE) if v != "Unreleased")
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert newest == toolwright.__version__ == re.search(r'^version = "(.+)"', pyproject, re.MULTILINE)[1]  # type: ignore[index]


def test_no_committed_file_is_over_20_megabytes():
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, cwd=ROOT)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        assert not path.is_file() or path.stat().st_size <= 20 * 2**20, name
