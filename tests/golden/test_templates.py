"""How real chat templates render what we send, and whether what they render is read back as it was meant."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from templating import TEMPLATES, WITHOUT_SYSTEM, TemplateEngine, qwen_tokenizer, render

from toolwright.episodes import Episode, Message, Problem, Provenance, SamplingParams, StopReason, ToolResult
from toolwright.rollouts import Rollout
from toolwright.rollouts._prompts import messages_for
from toolwright.sandbox import SandboxLimits
from toolwright.tools import DIALECTS, Call, Dialect, PythonTool

PROBLEM = Problem("p", "Ana has 5 bags of 2 apples and buys 20 more. How many apples does she have?")
QWENS = ["qwen2_5", "qwen3", "qwen3_instruct_2507"]
CODE = "n1 = 5 * 2\nprint(n1 + 20)"
CALLS = {
    "retool": f"Let me compute.\n<code>\n{CODE}\n</code>",
    "markdown": f"Let me compute.\n```python\n{CODE}\n```\n",
    "hermes": f"Let me compute.\n<tool_call>\n{json.dumps({'name': 'python', 'arguments': {'code': CODE}})}\n</tool_call>",
}


class NoSandbox:
    limits = SandboxLimits()
    digest = "none"


TOOL = PythonTool(NoSandbox())  # type: ignore[arg-type]


class FixedTool:
    """The python tool in all but that it always prints 30."""

    name, digest, schema = "python", "fixed", TOOL.schema

    @asynccontextmanager
    async def open(self, *, seed: int) -> AsyncIterator[FixedTool]:
        yield self

    async def call(self, arguments: str) -> ToolResult:
        return ToolResult("30", tool="python")


def opening(template: str, dialect: Dialect) -> tuple[Message, ...]:
    return messages_for(PROBLEM, dialect.instruction([TOOL]), system_role=template not in WITHOUT_SYSTEM)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("name", DIALECTS)
def test_every_template_takes_every_dialects_opening(template: str, name: str) -> None:
    messages = opening(template, DIALECTS[name])
    text = render(template, messages)
    assert DIALECTS[name].instruction([TOOL]) in text
    assert PROBLEM.question in text
    assert text.index(PROBLEM.question) > text.index("Solve the problem")
    before = render(template, messages, generate=False).removesuffix("<eos>")
    assert text.startswith(before) and len(text) > len(before)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("name", CALLS)
def test_every_template_takes_results_as_messages(template: str, name: str) -> None:
    dialect = DIALECTS[name]
    messages = opening(template, dialect)
    said = CALLS[name].strip()
    result = dialect.result_message(ToolResult("30"))
    text = render(template, (*messages, Message("assistant", said), result))
    # What the model was fed and wrote is the beginning of what it is fed next, so that prefix caches hold and no token changes.
    assert text.startswith(render(template, messages) + said)
    assert text.count(result.content) == text.count(PROBLEM.question) == 1
    assert text.index(result.content) > text.index(said)


@pytest.mark.parametrize("template", QWENS)
def test_hermes_instruction_is_what_the_template_itself_would_say(template: str) -> None:
    told = DIALECTS["hermes"].instruction([TOOL])
    words = told.partition("\n\n# Tools")[0]
    question = {"role": "user", "content": PROBLEM.question}
    native = render(template, [{"role": "system", "content": words}, question], tools=[TOOL.schema])
    assert render(template, [{"role": "system", "content": told}, question]) == native


@pytest.mark.parametrize("template", QWENS)
def test_hermes_messages_are_what_the_template_itself_would_say(template: str) -> None:
    messages: list[Any] = [{"role": m.role, "content": m.content} for m in opening(template, DIALECTS["hermes"])]
    calls = [{"type": "function", "function": {"name": "python", "arguments": {"code": CODE}}}]
    native = [*messages, {"role": "assistant", "content": "Let me compute.", "tool_calls": calls}, {"role": "tool", "content": "30"}]
    result = DIALECTS["hermes"].result_message(ToolResult("30"))
    ours = [*messages, {"role": "assistant", "content": CALLS["hermes"]}, {"role": result.role, "content": result.content}]
    assert render(template, ours) == render(template, native)


PIECES = ["x", " ", "\n", '"', "'", "\\", "{", "}", "}}", ",", ":", "<", ">", "tool_call", "code", "</code", "ü", "\t", "# ", "print(1)", "\\n", '"""', "é😀"]
PROGRAMS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=30).map("".join)


@settings(max_examples=300, deadline=None)
@given(PROGRAMS)
def test_hermes_reads_back_what_a_template_rendered(code: str) -> None:
    question = [{"role": "user", "content": "?"}]
    call = {"type": "function", "function": {"name": "python", "arguments": {"code": code}}}
    text = render("qwen2_5", [*question, {"role": "assistant", "content": "", "tool_calls": [call]}], generate=False)
    said = text.rpartition("<|im_start|>assistant\n")[2].removesuffix("<|im_end|>\n")
    found = DIALECTS["hermes"].find_call(said, ended=False)
    assert isinstance(found, Call)
    assert json.loads(found.arguments) == {"code": code}
    assert said[found.end :] == ""


@settings(max_examples=300, deadline=None)
@given(PROGRAMS)
def test_retool_and_markdown_read_back_what_was_written(code: str) -> None:
    if '"""' in code or "'''" in code or "</code>" in code:
        return  # an open long string may hold a fence, and the tag itself ends a program
    for name, text, arguments in (("retool", f"<code>\n{code}\n</code>", f"\n{code}\n"), ("markdown", f"```python\n{code}\n```\n", f"{code}\n")):
        found = DIALECTS[name].find_call(text, ended=False)
        assert isinstance(found, Call)
        assert (found.arguments, text[found.end :]) == (arguments, "")


def play(template: str, name: str, replies: list[str], tokenizer: Any) -> tuple[Episode, TemplateEngine]:
    engine = TemplateEngine(template, tokenizer, replies)
    rollout = Rollout(engine, dialect=name, tools=[FixedTool()], params=SamplingParams(max_new_tokens=4000))
    return asyncio.run(rollout.attempt(PROBLEM, 0)), engine


REPLIES = {
    # What the model would have gone on to write: the stop string ends inside its last token.
    "retool": [CALLS["retool"] + "\nand", "So \\boxed{30}."],
    "markdown": [CALLS["markdown"] + "\nand", "So \\boxed{30}."],
    "hermes": [CALLS["hermes"], "So \\boxed{30}."],
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("template", QWENS)
def test_tokens_in_are_tokens_out(template: str, name: str) -> None:
    episode, engine = play(template, name, REPLIES[name], qwen_tokenizer())
    assert episode.stop is StopReason.FINISHED
    assert [str(span.provenance) for span in episode.spans] == ["prompt", "model", "tool", "model"]
    assert all(span.token_ids for span in episode.spans)
    ids = tuple(token for span in episode.spans for token in span.token_ids or ())
    assert ids == engine.fed[-1] + (engine.said[-1].token_ids or ())
    assert [span.token_ids for span in episode.spans if span.provenance is Provenance.MODEL] == [said.token_ids for said in engine.said]
    assert engine.fed[1][: len(engine.fed[0])] == engine.fed[0]
    if name != "hermes":
        # The text that a person reads is the text that the tokens say, line break for line break.
        assert engine.decode(ids[len(engine.fed[0]) :]) == episode.text + "<|im_end|>"


def test_a_stop_inside_a_token_does_not_double_its_line_break() -> None:
    episode, engine = play("qwen2_5", "retool", REPLIES["retool"], qwen_tokenizer())
    assert engine.said[0].surplus == "\n"
    assert "</code>\n<interpreter>\n30\n</interpreter>\n\nSo" in episode.text
    assert "</code>\n<interpreter>\n30\n</interpreter>\n\nSo" in engine.decode(engine.fed[1] + (engine.said[1].token_ids or ()))


@pytest.mark.parametrize("answer", ["#### 30", "So \\boxed{30}.", "The answer", "<code>\nprint(1)\n</code>", "3", "**30**", "$30$", "```python\n"])
@pytest.mark.parametrize("name", ["retool", "markdown"])
def test_tool_spans_end_where_tokens_end(name: str, answer: str) -> None:
    tokenizer = qwen_tokenizer()
    span = DIALECTS[name].render_result(ToolResult("30"))
    apart = tokenizer.encode(span, add_special_tokens=False).ids + tokenizer.encode(answer, add_special_tokens=False).ids
    assert tokenizer.encode(span + answer, add_special_tokens=False).ids == apart


def test_the_vocabulary_is_qwens() -> None:
    tokenizer = qwen_tokenizer()
    # Ids as the models' own tokenizer gives them.
    assert tokenizer.encode("Hello world", add_special_tokens=False).ids == [9707, 1879]
    assert tokenizer.encode("<|im_start|>", add_special_tokens=False).ids == [151644]
    assert tokenizer.encode("123", add_special_tokens=False).ids == [16, 17, 18]


@pytest.mark.parametrize("name", CALLS)
def test_rendered_episodes_are_as_kept(name: str) -> None:
    """Whoever changes a prompt raises its version and writes the files anew: ``UPDATE_GOLDEN=1 pytest tests/golden``."""
    dialect = DIALECTS[name]
    text = render("qwen2_5", opening("qwen2_5", dialect)) + CALLS[name]
    if dialect.inline:
        text += dialect.render_result(ToolResult("30"), after=CALLS[name])
    else:
        text = render("qwen2_5", (*opening("qwen2_5", dialect), Message("assistant", CALLS[name]), dialect.result_message(ToolResult("30"))))
    path = Path(__file__).parent / "rendered" / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
