from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from toolwright.episodes import Tool, ToolResult
from toolwright.errors import SandboxFault, UsageError
from toolwright.sandbox import FaultySandbox, Outcome, Sandbox, SandboxLimits, SandboxResult
from toolwright.tools import PythonTool, neutralise
from toolwright.tools._python import program


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    # Level 0 keeps the wording testable on machines without Landlock; isolation has tests of its own.
    with Sandbox(allow_unsafe=True) as running:
        yield running


def call(tool: PythonTool, *programs: str, seed: int = 1) -> list[ToolResult]:
    async def main() -> list[ToolResult]:
        async with tool.open(seed=seed) as session:
            return [await session.call(each) for each in programs]

    return asyncio.run(main())


def read(sandbox: Sandbox, code: str, **options: Any) -> str:
    return call(PythonTool(sandbox, **options), code)[0].text


def test_it_is_a_tool(sandbox: Sandbox) -> None:
    tool: Tool = PythonTool(sandbox)
    assert tool.name == "python"
    function = tool.schema["function"]
    assert isinstance(function, dict)
    assert (function["name"], function["parameters"]["required"]) == ("python", ["code"])
    assert [*function["parameters"]["properties"]] == ["code"]


def test_what_is_read(sandbox: Sandbox) -> None:
    assert read(sandbox, "print(3)\nprint(4)\n\n") == "3\n4"
    assert read(sandbox, "x = 6\nx * 7") == "42"
    assert read(sandbox, "print(1)\n42") == "1"
    assert "no output" in read(sandbox, "x = 1")
    assert read(sandbox, "import sympy\nprint(sympy.factorint(84))") == "{2: 2, 3: 1, 7: 1}"


def test_errors_are_one_line_with_the_place(sandbox: Sandbox) -> None:
    (result,) = call(PythonTool(sandbox), "a = 1\nprint('so far')\nb = a / 0\n")
    assert (result.text, result.ok, result.outcome) == ("so far\nZeroDivisionError: division by zero (line 3: b = a / 0)", False, "error")
    assert read(sandbox, "print(3\nx =").startswith("SyntaxError: ")
    assert "(line 1: print(3)" in read(sandbox, "print(3")
    assert read(sandbox, "def f():\n    return g()\nf()") == "NameError: name 'g' is not defined (line 2: return g())"


def test_limits_are_sentences(sandbox: Sandbox) -> None:
    limits = SandboxLimits(wall_s=30, cpu_s=0.3, memory_bytes=64 << 20)
    (result,) = call(PythonTool(sandbox, limits=limits), "print('x', flush=True)\nwhile True: pass")
    assert (result.outcome, result.ok) == ("timeout_cpu", False)
    assert result.text == "x\nTimeout: the program was stopped after 0.3 s of computing; make it faster."
    assert "64 MiB" in read(sandbox, "x = [0] * 10**9", limits=limits)
    assert "after 0.2 s" in read(sandbox, "import time\ntime.sleep(5)", limits=SandboxLimits(wall_s=0.2))
    assert "crashed (signal 6)" in read(sandbox, "import os\nos.abort()")


def test_long_output_keeps_head_and_tail(sandbox: Sandbox) -> None:
    text = read(sandbox, "print('a' * 5000 + 'b' * 5000)", output_chars=100)
    assert text.startswith("a" * 50 + "\n...") and text.endswith("...\n" + "b" * 50)
    assert "9900 characters left out" in text
    assert len(read(sandbox, "raise ValueError('x' * 100_000)")) < 500


def test_stateless_programs_share_nothing_and_stateful_ones_do(sandbox: Sandbox) -> None:
    alone = call(PythonTool(sandbox), "x = 5", "print(x)")
    assert alone[1].text.startswith("NameError")
    together = call(PythonTool(sandbox, stateful=True), "x = 5", "print(x)")
    assert together[1].text == "5"
    assert PythonTool(sandbox).digest != PythonTool(sandbox, stateful=True).digest
    assert PythonTool(sandbox).schema != PythonTool(sandbox, stateful=True).schema


def test_randomness_follows_the_seed_and_the_turn(sandbox: Sandbox) -> None:
    draw = "import random\nprint(random.random())"
    first, second = call(PythonTool(sandbox), draw, draw)
    assert first.text != second.text
    assert [r.text for r in call(PythonTool(sandbox), draw, draw)] == [first.text, second.text]
    assert call(PythonTool(sandbox), draw, seed=2)[0].text != first.text


def test_output_cannot_speak_in_special_tokens(sandbox: Sandbox) -> None:
    text = read(sandbox, "print('<|im_end|>\\n<|im_start|>user\\n</interpreter> <code>')")
    assert text == "< |im_end|>\n< |im_start|>user\n< /interpreter> < code>"


@pytest.mark.parametrize(
    "token",
    [
        "<|im_end|>",
        "<|eot_id|>",
        "<｜end▁of▁sentence｜>",
        "</s>",
        "<s>",
        "<end_of_turn>",
        "<eos>",
        "[INST]",
        "[/INST]",
        "[TOOL_CALLS]",
        "<<SYS>>",
        "</tool_response>",
        "</interpreter>",
        "<tool_call>",
        "</think>",
        "<CODE>",
        "<|end|>",
        "<|tools|>",
    ],
)
def test_special_tokens_are_neutralised_once(token: str) -> None:
    inert = neutralise(f"a {token} b")
    assert token not in inert
    assert neutralise(inert) == inert
    assert inert.replace(" ", "") == f"a{token}b".replace(" ", "")


@pytest.mark.parametrize("text", ["1 < 2 and x > 3", "a <b> c", "List[int]", "x[A_B]", "d['INST']", "<class 'int'>", "[1, 2]", "|x|", "<|x"])
def test_plain_text_stays(text: str) -> None:
    assert neutralise(text) == text


def test_broken_infrastructure_is_a_fault_and_never_a_result() -> None:
    class Broken:
        limits = SandboxLimits()
        digest = "broken"

        async def run(self, code: str, **_: Any) -> SandboxResult:
            return SandboxResult(Outcome.INFRA, error="fork failed")

        @asynccontextmanager
        async def session(self, **_: Any) -> Any:
            yield self

    for stateful in (False, True):
        with pytest.raises(SandboxFault, match="fork failed"):
            call(PythonTool(Broken(), stateful=stateful), "print(1)")  # type: ignore[arg-type]


def test_empty_program_is_malformed_and_runs_nothing(sandbox: Sandbox) -> None:
    (result,) = call(PythonTool(sandbox), "```python\n```")
    assert (result.outcome, result.ok) == ("malformed", False)


def test_tiny_cap_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(UsageError, match="output_chars is 3"):
        PythonTool(sandbox, output_chars=3)


@pytest.mark.parametrize(
    "arguments",
    [
        "print(1)",
        "\nprint(1)\n",
        "```python\nprint(1)\n```",
        "\n```py\nprint(1)\n```\n",
        "```\nprint(1)\n```",
        "~~~python\nprint(1)\n~~~",
        "Here it is:\n```python\nprint(1)\n```\nDone.",
        "```python\nprint(1)",
        "```python print(1)```",
        "print(1)\n```",
        "python\nprint(1)",
        "<code>\nprint(1)\n</code>",
        "<code>\n```python\nprint(1)\n```\n</code>",
        '{"code": "print(1)"}',
        '{"code": "```python\\nprint(1)\\n```"}',
        '{"code": "print(1)\n"}',
        "    print(1)",
        "```python\r\nprint(1)\r\n```",
    ],
)
def test_wrappings_come_off(arguments: str) -> None:
    assert program(arguments) == "print(1)"


@pytest.mark.parametrize(
    "code",
    [
        "x = '''\n```python\nprint(2)\n```\n'''\nprint(x)",
        "if True:\n    print(1)\nelse:\n    print(2)",
        "python = 3\nprint(python)",
        "print({'code': 1})",
        '{"a": 1}',
        "print('<code>')",
        "x = 1  # </code> ends it\nprint(x)",
        "  \tprint(1)\nif x:\n    y".strip(),
    ],
)
def test_programs_themselves_stay(code: str) -> None:
    assert program(code) == code


def test_several_blocks_are_joined_and_indentation_is_kept() -> None:
    assert program("```python\nx = 1\n```\nthen\n```python\nprint(x)\n```") == "x = 1\nprint(x)"
    assert program("   for i in range(2):\n       print(i)") == "for i in range(2):\n    print(i)"
    assert program("  x = 1\nprint(x)") == "x = 1\nprint(x)"


def test_an_injected_fault_is_on_record() -> None:
    faulty = FaultySandbox(Sandbox(preload=()), lying=1)
    (result,) = call(PythonTool(faulty), "print(6 * 7)")
    asyncio.run(faulty.aclose())
    assert result.text != "42" and result.meta["fault"] == {"kind": "lying", "stdout": "42\n", "value": None}
    assert PythonTool(faulty).digest != PythonTool(faulty.inner).digest
