"""What a model's checking program is: where it stands in a reply, whether it checks anything, and what it printed.

A small model's "check" is often a comparison of two copied numbers. Such a program agrees with every candidate, or with none, so it has no say: a program
counts when what it prints depends on something it worked out. Leaves out running it.
"""

from __future__ import annotations

import ast
import builtins
import re
import textwrap
from collections.abc import Iterator

_FENCE = re.compile(r"(?P<mark>`{3,}|~{3,})[ \t]*(?P<kind>[\w+-]*)[^\n]*\n(?P<body>.*?)(?:\n[ \t]*(?P=mark)|\Z)", re.DOTALL)
_TAGGED = re.compile(r"<(?P<tag>code|python)>\s*?\n?(?P<body>.*?)(?:</(?P=tag)>|\Z)", re.DOTALL | re.IGNORECASE)
_KINDS = {"", "python", "py", "python3", "pycon", "sympy"}
_WORD = re.compile(r"\b(true|false)\b", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?\d[\d,_]*(?:\.\d+)?")
_LONGEST = 10_000
_COPYING = {
    "print", "bool", "int", "float", "str", "complex", "repr", "format", "abs", "round", "len", "tuple", "list", "set", "dict", "isclose",
    "Rational", "Fraction", "Decimal", "Integer", "Float", "sympify", "S", "nsimplify", "simplify", "N", "evalf", "symbols", "Symbol",
    "strip", "lower", "upper", "replace", "split", "startswith", "endswith", "append", "join", "get",
}  # fmt: skip
"""Calls that only carry a number over or compare it."""


def extract_program(reply: str) -> str | None:
    """The program of a reply: its fenced block, the block that prints, or all blocks where one builds on another; None where there is none.

    Chatter around it, other fences, a fence never closed, prompts of an interactive session and a reply that is nothing but code are all understood.
    """
    blocks = [_undented(body) for body in _blocks(reply)]
    blocks = [block for block in blocks if block.strip()]
    if not blocks:
        bare = _undented(reply)
        return bare if "print(" in bare and _parsed(bare) is not None else None
    printing = [block for block in blocks if "print(" in block and _parsed(block) is not None]
    if not printing:
        return "\n".join(blocks) if _parsed("\n".join(blocks)) is not None else blocks[-1]
    last = printing[-1]
    joined = "\n".join(blocks[: blocks.index(last) + 1])
    return joined if joined != last and _needs_more(last) and _parsed(joined) is not None else last


def printed_verdict(stdout: str) -> bool | None:
    """What a program's output says: True or False; None where it says neither, or both."""
    lines = [line.strip() for line in stdout.splitlines() if line.strip()]
    said = {line.strip(" .!'\"`*").casefold() for line in lines} & {"true", "false"}
    if not said and lines:
        said = {word.casefold() for word in _WORD.findall(lines[-1])}
    return said == {"true"} if len(said) == 1 else None


def why_no_check(program: str, answer: str | None = None) -> str | None:
    """Why the program cannot check the answer, as one sentence to tell the model; None where it can.

    It must parse, print, and print something that depends on a computation; and where the answer is a plain number, that number must occur in it.
    """
    if len(program) > _LONGEST:
        return f"It is longer than {_LONGEST} characters."
    tree = _parsed(program)
    if tree is None:
        return "It is not valid Python."
    prints = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node.func) == "print"]
    if not prints:
        return "It prints nothing."
    if not any(_depends(tree, call) for call in prints):
        return "It computes nothing: it only prints or compares numbers that were written down. Work the question out and compare the result."
    if answer is not None and not _mentions(tree, answer):
        return f"The answer to check, {answer}, does not occur in it."
    return None


def _blocks(reply: str) -> Iterator[str]:
    fenced = [match["body"] for match in _FENCE.finditer(reply) if match["kind"].casefold() in _KINDS]
    yield from fenced or [match["body"] for match in _TAGGED.finditer(reply)]


def _undented(block: str) -> str:
    lines = block.expandtabs(4).splitlines()
    if any(line.lstrip().startswith(">>> ") for line in lines):
        lines = [line.lstrip()[4:] for line in lines if line.lstrip().startswith((">>> ", "... "))]
    return textwrap.dedent("\n".join(lines)).strip("\n")


def _parsed(program: str) -> ast.Module | None:
    try:
        return ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _needs_more(program: str) -> bool:
    """Whether it uses names that neither it nor Python defines."""
    tree = ast.parse(program)
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    bound |= {(alias.asname or alias.name).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names}
    if "*" in bound:
        return False
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return bool(used - bound - set(dir(builtins)))


def _depends(tree: ast.Module, call: ast.Call) -> bool:
    """Whether what the call prints, or whether it prints at all, depends on a computation."""
    worked = _computed_names(tree)
    if any(_computes(argument, worked) for argument in call.args):
        return True
    around = [node for node in ast.walk(tree) if any(call is inner for inner in ast.walk(node))]
    return any(
        _computes(node.test, worked)
        if isinstance(node, ast.If | ast.While | ast.IfExp)
        else isinstance(node, ast.For | ast.Try) and _any_computes(node, worked)
        for node in around
    )


def _any_computes(node: ast.AST, worked: set[str]) -> bool:
    return any(_computes(child, worked) for child in ast.walk(node) if isinstance(child, ast.expr))


def _computed_names(tree: ast.Module) -> set[str]:
    """The names whose values come from a computation: variables, and functions with one inside."""
    worked: set[str] = set()
    while True:
        found = set(worked)
        for node in ast.walk(tree):
            if isinstance(node, ast.AugAssign):
                found |= _targets(node.target)
            elif isinstance(node, ast.Assign) and _computes(node.value, worked):
                found |= {name for target in node.targets for name in _targets(target)}
            elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None and _computes(node.value, worked):
                found |= _targets(node.target)
            elif isinstance(node, ast.FunctionDef) and _any_computes(node, worked):
                found.add(node.name)
            elif isinstance(node, ast.If) and _computes(node.test, worked):
                # What is set on either side of a computed decision carries the decision.
                found |= {name for inner in ast.walk(node) if isinstance(inner, ast.Assign) for target in inner.targets for name in _targets(target)}
            elif isinstance(node, ast.For) and _computes(node.iter, worked):
                found |= _targets(node.target)
        if found == worked:
            return worked
        worked = found


def _targets(target: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def _computes(node: ast.AST, worked: set[str]) -> bool:
    """Whether an expression works something out, itself or through a name."""
    for child in ast.walk(node):
        if isinstance(child, ast.BinOp) and not _joins_text(child):
            return True
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load) and child.id in worked:
            return True
        if isinstance(child, ast.Call) and (name := _name(child.func)) is not None and name not in _COPYING and not _is_own_function(name, worked, child):
            return True
    return False


def _is_own_function(name: str, worked: set[str], call: ast.Call) -> bool:
    """A plain call of a name that no computation stands behind; library functions come by attribute or are known builtins."""
    return isinstance(call.func, ast.Name) and name not in worked and name not in _WORKING


_WORKING = {
    "sum", "pow", "divmod", "max", "min", "range", "map", "filter", "eval", "solve", "sqrt", "factorial", "comb", "perm", "gcd", "lcm",
    "Eq", "expand", "factor", "diff", "integrate", "limit", "binomial", "solveset", "nsolve", "summation", "product", "permutations", "combinations", "ceil",
    "floor", "log", "exp", "sin", "cos", "tan", "isprime", "factorint", "divisors", "prime", "Matrix", "reduce", "prod", "cbrt",
}  # fmt: skip


def _joins_text(node: ast.BinOp) -> bool:
    return any(isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str)) for side in (node.left, node.right))


def _name(function: ast.expr) -> str | None:
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else None


def _mentions(tree: ast.Module, answer: str) -> bool:
    """Whether a plain number occurs in the program, as itself or as a percentage; anything but a plain number counts as mentioned."""
    found = _NUMBER.fullmatch(answer.strip().strip("$€£%").rstrip(".").strip())
    if found is None:
        return True
    wanted = abs(float(found[0].replace(",", "").replace("_", "")))
    return any(_close(value, wanted) for value in _constants(tree))


def _constants(tree: ast.Module) -> Iterator[float]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
            yield _as_float(node.value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (_as_float(text.replace(",", "").replace("_", "")) for text in _NUMBER.findall(node.value))
        elif isinstance(node, ast.BinOp) and isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant):
            yield from _folded(node)
        elif isinstance(node, ast.Call) and len(node.args) == 2 and all(isinstance(each, ast.Constant) for each in node.args):
            yield from _folded(ast.BinOp(node.args[0], ast.Div(), node.args[1]))


def _folded(node: ast.BinOp) -> Iterator[float]:
    if isinstance(node.op, ast.Div) and isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant):
        left, right = node.left.value, node.right.value
        if isinstance(left, int | float) and isinstance(right, int | float) and right:
            yield _as_float(left) / _as_float(right)


def _as_float(value: int | float | str) -> float:
    try:
        return float(value)
    except (OverflowError, ValueError):
        return float("inf")


def _close(value: float, wanted: float) -> bool:
    return any(abs(abs(value) * scale - wanted) <= 1e-9 * max(1.0, wanted) for scale in (1, 100, 0.01))
