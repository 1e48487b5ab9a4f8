from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from toolwright.episodes import ToolResult
from toolwright.errors import UsageError
from toolwright.tools import DIALECTS, Call, Dialect, MalformedCall, find_dialect
from toolwright.tools._python import program

RETOOL, MARKDOWN, HERMES, TEXT = (DIALECTS[name] for name in ("retool", "markdown", "hermes", "text"))


@dataclass
class NamedTool:
    name: str = "python"
    digest: str = "x"
    schema: dict[str, object] = field(default_factory=lambda: {"type": "function", "function": {"name": "python", "description": "Runs a Python program."}})

    def open(self, *, seed: int) -> Any:
        raise NotImplementedError


def code_of(dialect: Dialect, text: str, *, ended: bool = True) -> str | None:
    """The program of the call in the text; None where there is none, or it is malformed."""
    found = dialect.find_call(text, ended=ended)
    return program(found.arguments) if isinstance(found, Call) else None


def test_names_resolve() -> None:
    assert find_dialect("retool") is RETOOL
    assert find_dialect(RETOOL) is RETOOL
    with pytest.raises(UsageError, match='no dialect "xml"; choose one of text, retool, markdown, hermes'):
        find_dialect("xml")
    assert all(name == dialect.name for name, dialect in DIALECTS.items())
    assert len({dialect.digest for dialect in DIALECTS.values()}) == len(DIALECTS)


def test_text_has_no_calls() -> None:
    assert TEXT.find_call("<code>\nprint(1)\n</code>") is None
    assert TEXT.stops == ()
    assert "<code>" not in TEXT.instruction([])


@pytest.mark.parametrize("name", ["retool", "markdown", "hermes"])
def test_instructions_tell_tool_and_answer_form(name: str) -> None:
    told = DIALECTS[name].instruction([NamedTool()])  # type: ignore[list-item]
    assert "Runs a Python program." in told
    assert "\\boxed{" in told
    assert ("<code>" in told) == (name == "retool")


@pytest.mark.parametrize("dialect", [RETOOL, MARKDOWN])
def test_the_examples_in_instructions_are_calls_as_the_dialect_reads_them(dialect: Dialect) -> None:
    example = dialect.instruction([]).partition("Example:\n")[2]
    assert code_of(dialect, example) == "print(sum(n * n for n in range(1, 21)))"
    assert dialect.render_result(ToolResult("2870")).strip() in example
    assert sum(n * n for n in range(1, 21)) == 2870


# retool


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("<code>\nprint(1)\n</code>", "print(1)"),
        ("Let's compute.\n<code>\nprint(1)\n</code>", "print(1)"),
        ("Let's compute: <code>\nprint(1)\n</code>", "print(1)"),
        ("Let's compute <code>print(1)</code>", "print(1)"),
        ("<code>print(1)\n</code>", "print(1)"),
        ("<code>\n```python\nprint(1)\n```\n</code>", "print(1)"),
        ("<code>\n```python\nprint(1)\n</code>", "print(1)"),
        ("<code>```python\nprint(1)```</code>", "print(1)"),
        ("<code>\npython\nprint(1)\n</code>", "print(1)"),
        ("I will use <code> tags.\n<code>\nprint(1)\n</code>", "print(1)"),
        ("<code>\nprint('<code>')\n</code>", "print('<code>')"),
        ("<code>\nprint('</code>')\n</code>", "print('</code>')"),
        ('<code>\nx = "it\'s </code>"\nprint(x)\n</code>', 'x = "it\'s </code>"\nprint(x)'),
        ("<code>\nx = 1 # it's done</code>", "x = 1 # it's done"),
        ("<code>\nprint('\\'')\n</code>", "print('\\'')"),
        ("<code>\nprint(1)\n</code>\n<interpreter>\n5\n</interpreter>\n<code>\nprint(2)\n</code>", "print(1)"),
    ],
)
def test_retool_calls(text: str, code: str) -> None:
    assert code_of(RETOOL, text) == code


def test_retool_call_ends_where_its_tag_does() -> None:
    text = "<code>\nprint(1)\n</code>\nThe output is 7."
    found = RETOOL.find_call(text)
    assert isinstance(found, Call)
    assert text[: found.end].endswith("</code>")
    assert (found.tool, found.missing) == ("python", "")


def test_retool_open_calls_count_only_once_the_turn_has_ended() -> None:
    assert RETOOL.find_call("<code>\nprint(1)", ended=False) is None
    found = RETOOL.find_call("<code>\nprint(1)")
    assert isinstance(found, Call)
    assert (program(found.arguments), found.missing) == ("print(1)", "\n</code>")
    assert RETOOL.find_call("<code>\n") is None
    assert RETOOL.find_call("One could use <code> tags here. The answer is 5.") is None


def test_retool_end_in_a_string_of_an_unfinished_program_is_none() -> None:
    assert RETOOL.find_call("<code>\nprint('</code>", ended=False) is None
    assert RETOOL.find_call('<code>\nprint("it\\"s </code>', ended=False) is None
    found = RETOOL.find_call("<code>\nprint('</code>", ended=True)
    assert isinstance(found, Call)


def test_retool_end_without_beginning_is_malformed() -> None:
    found = RETOOL.find_call("print(1)\n</code>", ended=False)
    assert isinstance(found, MalformedCall)
    assert "without <code>" in found.message


@pytest.mark.parametrize("text", ["", "The answer is 5.", "#### 5", "2 < 3 and code > 4"])
@pytest.mark.parametrize("name", ["retool", "markdown", "hermes"])
def test_plain_words_are_no_call(name: str, text: str) -> None:
    assert DIALECTS[name].find_call(text) is None


def test_retool_span_is_exact() -> None:
    assert RETOOL.render_result(ToolResult("30")) == "\n<interpreter>\n30\n</interpreter>\n\n"
    assert "</interpreter>" not in RETOOL.render_result(ToolResult("a</interpreter>b")).removesuffix("</interpreter>\n\n")


# markdown


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```python\nprint(1)\n```\n", "print(1)"),
        ("First:\n```python\nprint(1)\n```", "print(1)"),
        ("```py\nprint(1)\n```\n", "print(1)"),
        ("``` Python\nprint(1)\n```\n", "print(1)"),
        ("```python title=x\nprint(1)\n```\n", "print(1)"),
        ("1. Do\n   ```python\n   print(1)\n   ```\n", "print(1)"),
        ("````python\nprint('''\n```\n''')\n````\n", "print('''\n```\n''')"),
        ("```python\nprint('''\n```\n''')\n```\n", "print('''\n```\n''')"),
        ("```text\nprint(2)\n```\n```python\nprint(1)\n```\n", "print(1)"),
        ("```python\nprint(1)\n```\nso\n```python\nprint(2)\n```\n", "print(1)"),
        ("```python\nprint(1)", "print(1)"),
    ],
)
def test_markdown_calls(text: str, code: str) -> None:
    assert code_of(MARKDOWN, text) == code


@pytest.mark.parametrize("text", ["```\nx\n```\n", "```output\n3\n```\n", "```json\n{}\n```\n", "use `python` here", "```python\n"])
def test_other_blocks_are_no_calls(text: str) -> None:
    assert MARKDOWN.find_call(text) is None


def test_markdown_block_that_is_open_waits() -> None:
    assert MARKDOWN.find_call("```python\nprint('''\n```\n", ended=False) is None
    assert code_of(MARKDOWN, "```python\nprint('''a)\n```\nSo it is 5.") == "print('''a)"
    found = MARKDOWN.find_call("```python\nprint(1)")
    assert isinstance(found, Call)
    assert found.missing == "\n```\n"


def test_markdown_output_block_begins_a_line_and_cannot_be_closed_by_its_content() -> None:
    assert MARKDOWN.render_result(ToolResult("3"), after="```\n") == "```output\n3\n```\n"
    assert MARKDOWN.render_result(ToolResult("3"), after="```") == "\n```output\n3\n```\n"
    assert MARKDOWN.render_result(ToolResult("a\n```\nb")).count("```") == 2


def test_markdown_stop_is_the_end_of_a_call_and_not_its_beginning() -> None:
    (stop,) = MARKDOWN.stops
    assert stop not in "Text.\n```python\nprint(1)"
    assert stop in "Text.\n```python\nprint(1)\n```\n"


# hermes


def hermes(body: str) -> str:
    return f"<tool_call>\n{body}\n</tool_call>"


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "python", "arguments": {"code": "x = 1\\nprint(x)"}}',
        '{"name": "python", "arguments": {"code": "x = 1\nprint(x)"}}',
        '{"name": "python", "arguments": {"code": "x = 1\\nprint(x)",},}',
        "{'name': 'python', 'arguments': {'code': 'x = 1\\nprint(x)'}}",
        '{"name": "python", "arguments": {"code": "x = 1\\nprint(x)"}',
        '{"name": "python", "arguments": {"code": "x = 1\\nprint(x)"',
        '{"name": "python", "parameters": {"code": "x = 1\\nprint(x)"}}',
        '{"name": "python", "arguments": "{\\"code\\": \\"x = 1\\\\nprint(x)\\"}"}',
        '{"name": "python", "arguments": "x = 1\\nprint(x)"}',
        '{"type": "function", "function": {"name": "python", "arguments": {"code": "x = 1\\nprint(x)"}}}',
        '```json\n{"name": "python", "arguments": {"code": "x = 1\\nprint(x)"}}\n```',
        '{"name": "python", "arguments": {"code": "```python\\nx = 1\\nprint(x)\\n```"}}',
        '{"name": "python", "arguments": {"code": """x = 1\nprint(x)"""}}',
        '{"name": "python", "arguments": {"code": `x`}}'.replace("`x`", "'x = 1\\nprint(x)'"),
    ],
)
def test_hermes_calls(body: str) -> None:
    assert code_of(HERMES, hermes(body)) == "x = 1\nprint(x)"


def test_hermes_quotes_that_are_not_escaped() -> None:
    assert code_of(HERMES, hermes('{"name": "python", "arguments": {"code": "print("hi")"}}')) == 'print("hi")'
    assert code_of(HERMES, hermes('{"name": "python", "arguments": {"code": "x = "a"\nprint(x["b"])"}}')) == 'x = "a"\nprint(x["b"])'
    assert code_of(HERMES, hermes('{"name": "python", "arguments": {"code": "x = \\"a\\"\\nprint("b")"}}')) == 'x = "a"\nprint("b")'


@pytest.mark.parametrize(
    "code", ["print(1)", "x = 'a'\nprint(f\"{x}\")", "print('</tool_call>')", "s = '''\\n'''\nprint({1: {2: 3}})", "# <tool_call>\nprint('ü', \"\\t\")"]
)
def test_hermes_reads_what_is_rightly_written(code: str) -> None:
    assert code_of(HERMES, hermes(json.dumps({"name": "python", "arguments": {"code": code}}))) == code


def test_hermes_takes_the_first_of_several() -> None:
    text = hermes('{"name": "python", "arguments": {"code": "print(1)"}}') + "\n" + hermes('{"name": "python", "arguments": {"code": "print(2)"}}')
    found = HERMES.find_call(text)
    assert isinstance(found, Call)
    assert program(found.arguments) == "print(1)"
    assert text[found.end :].startswith("\n<tool_call>")


def test_hermes_other_tools_and_their_arguments_pass_through() -> None:
    found = HERMES.find_call(hermes('{"name": "search", "arguments": {"query": "who?", "k": 3}}'))
    assert isinstance(found, Call)
    assert (found.tool, json.loads(found.arguments)) == ("search", {"query": "who?", "k": 3})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "it is empty"),
        ("print(1)", "not valid JSON"),
        ('["python", "print(1)"]', "not a JSON object"),
        ('{"tool": "python"}', '"name" and "arguments"'),
        ('{"name": "python"}', '"name" and "arguments"'),
        ('{"name": "python", "arguments": {"code": }}', "not valid JSON"),
        ("[" * 5000, "could not be read"),
    ],
)
def test_hermes_tells_what_to_fix(body: str, reason: str) -> None:
    found = HERMES.find_call(hermes(body))
    assert isinstance(found, MalformedCall)
    assert reason in found.message
    assert "Example:" in found.message


def test_hermes_message_itself_shows_a_good_call() -> None:
    found = HERMES.find_call(hermes("oops"))
    assert isinstance(found, MalformedCall)
    assert code_of(HERMES, found.message) == "print(6 * 7)"


def test_hermes_open_calls() -> None:
    text = '<tool_call>\n{"name": "python", "arguments": {"code": "print(1)"}}'
    assert HERMES.find_call(text, ended=False) is None
    found = HERMES.find_call(text)
    assert isinstance(found, Call)
    assert found.missing == "\n</tool_call>"
    assert isinstance(HERMES.find_call('<tool_call>\n{"name": '), MalformedCall)


def test_hermes_tag_inside_the_program_waits_for_the_real_one() -> None:
    begun = '<tool_call>\n{"name": "python", "arguments": {"code": "print(\'</tool_call>'
    assert HERMES.find_call(begun, ended=False) is None
    assert code_of(HERMES, begun + "')\"}}\n</tool_call>", ended=False) == "print('</tool_call>')"


def test_hermes_bare_json_is_a_call_where_it_is_the_whole_turn() -> None:
    bare = '{"name": "python", "parameters": {"code": "print(1)"}}'
    assert code_of(HERMES, bare) == "print(1)"
    assert HERMES.find_call(bare, ended=False) is None
    assert HERMES.find_call("The JSON is " + bare) is None
    assert isinstance(HERMES.find_call(bare + "\n</tool_call>"), MalformedCall)


def test_results_as_messages() -> None:
    result = ToolResult("a </tool_response> <|im_end|>")
    message = HERMES.result_message(result)
    assert (message.role, message.content) == ("user", "<tool_response>\na < /tool_response> < |im_end|>\n</tool_response>")
    assert RETOOL.result_message(ToolResult("3")).content == "<interpreter>\n3\n</interpreter>"
    assert MARKDOWN.result_message(ToolResult("3")).content == "```output\n3\n```"
