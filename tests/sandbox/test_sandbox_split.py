"""The quick way to find a snippet's last expression must give the very code that the thorough way gives, or leave it to that."""

from __future__ import annotations

import types
from typing import Any

import pytest

from toolwright.sandbox import _child

QUICK = (
    "1",
    "\n1",
    "\n\nx",
    "x=1\n\n\nx\n\n",
    "f(1)  # c",
    "def f():\n return 1\nf()",
    "if 1:\n  2\nelse:\n  3\n4",
    "'doc'\n1",
    "print(2 + 2)",
    "x:int\n-x",
    "a;b\nc",
)
THOROUGH = (
    *(
        "x = \\\n5",
        "'''\na",
        "'''a\nb'''",
        "f(\n1)",
        "x=[1,\n2]",
        "1 +\\\n2",
        "x=1;y=2",
        "1;",
        "x = 1",
        "x=1 # c\n# d",
        " 1",
        "\t1",
        "@d\nf",
        "a\\\n.b",
        "for i in x: pass",
    ),
    *(
        "f'''{\n1}'''",
        "from __future__ import annotations\n1",
        "x\r1",
        "pass\f\n1",
        "",
        "(\n1\n)",
        "while 1:\n 2",
        "global x",
        "return 1\n1",
        "1 if x else\\\n 2",
    ),
)


def content(code: types.CodeType) -> tuple[Any, ...]:
    constants = tuple(content(each) if isinstance(each, types.CodeType) else (type(each), repr(each)) for each in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, constants, list(code.co_lines()), list(code.co_positions()), code.co_flags, code.co_name


@pytest.mark.parametrize("source", QUICK)
def test_quick_split_gives_the_same_code(source: str) -> None:
    quick, thorough = _child._split_by_line(source, "<s>"), _child._split_by_tree(source, "<s>")
    assert quick is not None and thorough[1] is not None
    assert [content(code) for code in quick] == [content(thorough[0]), content(thorough[1])]


@pytest.mark.parametrize("source", THOROUGH)
def test_what_is_not_plain_is_left_to_the_thorough_way(source: str) -> None:
    assert _child._split_by_line(source, "<s>") is None
