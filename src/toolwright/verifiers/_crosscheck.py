"""The metamorphic cross-check: a program that checks an answer must say something else when the answer, or a number it works with, is another.

Nobody needs to know the right answer for it. A program that said True must not say True of another answer, and not whatever the question's numbers are; one
that said False must say True of *some* answer (it is given one that equals everything). What fails is an echo and has no say.

Source: metamorphic testing, Chen et al. 1998. Left out: programs that read their numbers from texts.
"""

from __future__ import annotations

import ast
import copy
import inspect
import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from toolwright.verifiers._literals import as_number, called, comparisons, literal, literal_names, numbers_in
from toolwright.verifiers._sameness import same, symbolic

_NUMBERS_TRIED = 3
_ANYTHING = '''
class _Anything:
    """Equal to everything, whatever is done with it."""
    def _self(self, *args): return self
    def _yes(self, *args): return True
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = _self
    __mod__ = __rmod__ = __pow__ = __rpow__ = __neg__ = __pos__ = __abs__ = __round__ = _self
    __lt__ = __le__ = __gt__ = __ge__ = __bool__ = _yes
    def meet(self, other):
        import sys
        if other is not self:
            sys.stderr.write("\\n$compared with: " + str(other)[:200] + "\\n")
        return True
    __eq__ = meet
    def __ne__(self, other): return False
    def __hash__(self): return 0
_anything = _Anything()
'''


@dataclass(frozen=True, slots=True)
class Variants:
    """The program, and itself changed in ways that must change what it says."""

    program: str
    other_answer: str | None
    """The candidate's answer replaced by another one; None where it cannot be told apart."""
    any_answer: str | None
    """The candidate's answer replaced by one that equals everything."""
    other_numbers: tuple[str, ...]
    """One of the numbers it works with replaced by another one."""

    def programs(self) -> list[str]:
        """All of them, the program first, in the order of the fields."""
        return [self.program, *(each for each in (self.other_answer, self.any_answer) if each is not None), *self.other_numbers]

    def ready(self) -> Variants:
        """The same, each with what it may call, to be run on its own."""
        anything = None if self.any_answer is None else _ready(f"{_ANYTHING}{self.any_answer}")
        return Variants(
            _ready(self.program), None if self.other_answer is None else _ready(self.other_answer), anything, tuple(map(_ready, self.other_numbers))
        )


def runnable(program: str) -> str:
    """The program as it is run: with `same` at hand, which also decides its own ``==`` (outside of loops, where that would take time)."""
    return _ready(ast.unparse(_with_same(ast.parse(program))))


def variants(program: str, *, answer: str | None, question: str) -> Variants:
    """The changed programs. Shapes: at most three of `other_numbers`, those of the question first."""
    tree = _with_same(ast.parse(program))
    told = set(numbers_in(question))
    value = as_number(answer) if answer is not None else None
    places = _answer_places(tree, value, told) if value is not None else set()
    other = _changed(tree, places, _larger) if places else None
    anything = _changed(tree, places, lambda node: ast.Name("_anything", ast.Load())) if places else None
    used = [n for n in _worked_with(tree) if n not in places]
    values = list(dict.fromkeys(_value_at(tree, n) for n in used))
    values.sort(key=lambda v: v not in told)
    numbers = (_changed(tree, {n for n in used if _value_at(tree, n) == v}, _larger) for v in values[:_NUMBERS_TRIED])
    return Variants(ast.unparse(tree), other, anything, tuple(numbers))


def together(changed: Variants) -> str | None:
    """One script that runs the program and all its variants, for programs so plain that nothing of one can reach another; None for all others."""
    programs = changed.programs()
    if not all(_is_plain(ast.parse(each)) for each in programs):
        return None
    bodies = "".join(f"def _program_{i}():\n{textwrap.indent(each, '    ')}\n" for i, each in enumerate(programs))
    names = ", ".join(f"_program_{i}" for i in range(len(programs)))
    return f"{_ready(_ANYTHING)}{bodies}{_TOGETHER.format(names=names)}"


def apart(stdout: str) -> list[tuple[str | None, str]] | None:
    """(what it printed, or None and its error) of each program of such a script; None where it did not get that far."""
    try:
        found = json.loads(stdout.splitlines()[-1])
        return [(None if said is None else str(said), str(error)) for said, error in found]
    except (ValueError, TypeError, IndexError):
        return None


def compared_with(stderr: str) -> str | None:
    """What a program that was given an answer equal to everything compared it with last: its own result. None where it compared nothing, or in another way."""
    found = [line.partition(":")[2].strip() for line in stderr.splitlines() if line.startswith("$compared with:")]
    return found[-1] if found else None


def _ready(program: str) -> str:
    """The program with what it may call."""
    needed = [inspect.getsource(same)] + ([inspect.getsource(symbolic)] if "sympy" in program else [])
    # Annotations must stay unread: the names in them are not imported there.
    return "from __future__ import annotations\n" + "\n".join(needed) + f"\n_same = same\n{program}\n"


_TOGETHER = """
import contextlib, io, json
_said = []
for _each in ({names},):
    _out = io.StringIO()
    try:
        with contextlib.redirect_stdout(_out):
            _each()
        _said.append([_out.getvalue(), ""])
    except Exception as _error:
        _said.append([None, type(_error).__name__ + ": " + str(_error)])
print(json.dumps(_said))
"""
_PLAIN_NODES = (
    ast.Module, ast.Assign, ast.AugAssign, ast.Expr, ast.If, ast.IfExp, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Name, ast.Constant,
    ast.Tuple, ast.List, ast.Load, ast.Store, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
_PLAIN_CALLS = {"print", "same", "_same", "abs", "round", "int", "float", "str", "bool", "min", "max", "sum", "len", "divmod"}


def _is_plain(tree: ast.Module) -> bool:
    """Whether it is a few calculations and a print: nothing imported, defined, repeated or reached into."""
    return all(
        isinstance(node, _PLAIN_NODES)
        and (not isinstance(node, ast.Call) or (isinstance(node.func, ast.Name) and node.func.id in _PLAIN_CALLS))
        and not (isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" in node.value)
        for node in ast.walk(tree)
    )


class _SameCalls(ast.NodeTransformer):
    """Turns ``a == b`` into ``_same(a, b)``, but not inside of loops."""

    def _keep(self, node: ast.AST) -> ast.AST:
        return node

    visit_For = visit_While = visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _keep

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq):
            return ast.Call(ast.Name("_same", ast.Load()), [node.left, node.comparators[0]], [])
        return node


def _with_same(tree: ast.Module) -> ast.Module:
    changed: ast.Module = ast.fix_missing_locations(_SameCalls().visit(tree))
    # Parsed again, so that every node has a place of its own by which it is found in copies.
    return ast.parse(ast.unparse(changed))


Place = tuple[int, int]
"""Line and column of a constant."""


def _answer_places(tree: ast.Module, value: Fraction, told: set[Fraction]) -> set[Place]:
    """Where the candidate's answer stands; where the question tells that number too, only what is compared or named for it."""
    everywhere = {(c.lineno, c.col_offset) for c in _constants(tree) if _is(c, value)}
    if abs(value) not in told:
        return everywhere
    bound = literal_names(tree)
    compared: set[Place] = set()
    for pair in _compared(tree):
        for side in pair:
            found = literal(side, bound)
            if found is None or abs(found) != abs(value):
                continue
            if isinstance(side, ast.Name):
                compared |= {
                    (c.lineno, c.col_offset)
                    for node in ast.walk(tree)
                    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == side.id
                    for c in _constants(node)
                }
            else:
                compared |= {(c.lineno, c.col_offset) for c in _constants(side)}
    return compared & everywhere


def _compared(tree: ast.Module) -> list[tuple[ast.expr, ast.expr]]:
    ours = [(node.args[0], node.args[1]) for node in ast.walk(tree) if isinstance(node, ast.Call) and called(node.func) == "_same" and len(node.args) == 2]
    return [*ours, *comparisons(tree)]


def _worked_with(tree: ast.Module) -> list[Place]:
    """Where the numbers stand that are calculated with: in an operation, in a call, or as the value of a name."""
    found: list[Place] = []
    for node in ast.walk(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.BinOp):
            parts = [node.left, node.right]
        elif isinstance(node, ast.Assign | ast.AugAssign):
            parts = [node.value]
        elif isinstance(node, ast.Call) and called(node.func) not in ("_same", "same", "isclose", "print", "round"):
            parts = [inner for argument in node.args for inner in (argument, *(argument.elts if isinstance(argument, ast.List | ast.Tuple) else ()))]
        elif isinstance(node, ast.List | ast.Tuple):
            parts = list(node.elts)
        found += [(p.lineno, p.col_offset) for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, int | float) and not isinstance(p.value, bool)]
    return list(dict.fromkeys(found))


def _constants(tree: ast.AST) -> list[ast.Constant]:
    return [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and not isinstance(n.value, bool) and as_number(n.value) is not None]


def _is(constant: ast.Constant, value: Fraction) -> bool:
    found = as_number(constant.value)
    return found is not None and abs(found) in (abs(value), abs(value) / 100)


def _value_at(tree: ast.Module, place: Place) -> Fraction:
    found = next(as_number(c.value) for c in _constants(tree) if (c.lineno, c.col_offset) == place)
    return found if found is not None else Fraction(0)


def _changed(tree: ast.Module, places: set[Place], change: Callable[[ast.Constant], ast.expr]) -> str:
    """The program with the constants at these places changed."""

    class Change(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.AST:
            return change(node) if (node.lineno, node.col_offset) in places else node

    return ast.unparse(ast.fix_missing_locations(Change().visit(copy.deepcopy(tree))))


def _larger(node: ast.Constant) -> ast.expr:
    """Another number than this one, far enough away that no tolerance takes it for the same."""
    if isinstance(node.value, int):
        return ast.Constant(2 * node.value + 1)
    if isinstance(node.value, float):
        return ast.Constant(2 * node.value + 1.0)
    value = as_number(node.value) or Fraction(0)
    return ast.Constant(str(2 * value.numerator + 1) if value.denominator == 1 else str(float(2 * value + 1)))
