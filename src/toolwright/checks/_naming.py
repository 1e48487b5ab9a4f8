"""What is said of a name: "x = 5" is 5, "1 ≤ x ≤ 2" an interval, "x = ±2" a list, all with the name x."""

from __future__ import annotations

from fractions import Fraction

from toolwright.checks._folding import branches, fold, symbols
from toolwright.checks._grammar import Node


def fold_all(node: Node) -> Node:
    """The folded node with its double signs spelled out as a list."""
    if node[0] == "bracket" and len({len(row[1]) if row[0] == "bracket" else 0 for row in node[1]}) == 1 and node[1][0][0] == "bracket":
        node = ("matrix", tuple(row[1] for row in node[1]))
    if node[0] in {"list", "set"}:
        spread = tuple(branch for child in node[1] for branch in branches(child))
        return (node[0], tuple(fold(child) for child in spread))
    if node[0] == "rel" and len(node[2]) == 2:
        sides = branches(node[2][1])
        if len(sides) > 1:
            return ("list", tuple(fold(("rel", node[1], (node[2][0], side))) for side in sides))
    found = [fold(branch) for branch in branches(node)]
    return found[0] if len(found) == 1 else ("list", tuple(found))


def without_degrees(node: Node) -> Node | None:
    """The node in degrees without their sign, where all of it is; None otherwise."""
    if node[0] == "deg":
        return tuple(node[1])
    if node[0] in {"list", "set", "tuple"} or (node[0] == "mul" and node[1][0][0] == "num" and len(node[1]) == 2):
        start = 1 if node[0] == "mul" else 0
        parts = [without_degrees(child) for child in node[1][start:]]
        return None if not parts or any(part is None for part in parts) else (node[0], (*node[1][:start], *parts))
    if node[0] == "rel" and set(node[1]) == {"="}:
        last = without_degrees(node[2][-1])
        return None if last is None else ("rel", node[1], (*node[2][:-1], last))
    return None


def without_name(node: Node) -> tuple[Node, str]:
    """The node without its name: "x = 5" is 5, "1 ≤ x ≤ 2" an interval, "x = 1, x = 2" a list."""
    if node[0] == "list":
        shaped = [without_name(child) for child in node[1]]
        names = {name for _, name in shaped}
        if all(child[0] == "interval" for child, _ in shaped) and len(names) == 1:
            return ("union", tuple(child for child, _ in shaped)), shaped[0][1]
        if len(names - {""}) == 1 and shaped[0][1]:
            return ("list", tuple(child for child, _ in shaped)), shaped[0][1]
        return node, ""
    if node[0] == "in":
        return (node[2], _name(node[1])) if _name(node[1]) else (node, "")
    if node[0] != "rel":
        return node, ""
    operators, sides = node[1], node[2]
    if set(operators) <= {"=", "~"}:
        name = _name(sides[0])
        if name and name.partition("(")[0] not in symbols(sides[-1]):
            return sides[-1], name
        if len(sides) == 2 and _name(sides[1]) and not symbols(sides[0]):
            return sides[0], _name(sides[1])
        if all(side[0] == "num" for side in sides) and len(set(sides)) == 1:
            return sides[-1], ""
        return node, ""
    if operators == ("!=",) and _name(sides[0]) and not symbols(sides[1]):
        return ("minus", ("const", "R"), ("set", (sides[1],))), _name(sides[0])
    return _as_interval(operators, sides) or (node, "")


def _name(node: Node) -> str:
    if node[0] == "sym":
        return str(node[1])
    if node[0] == "mul" and len(node[1]) == 2 and all(part[0] == "sym" for part in node[1]):
        letters = [part[1] for part in node[1]]
        function = next((letter for letter in ("f", "g", "h", "P", "p") if letter in letters), "")
        return f"{function}({letters[1 - letters.index(function)]})" if function else ""
    return ""


def _as_interval(operators: tuple[str, ...], sides: tuple[Node, ...]) -> tuple[Node, str] | None:
    infinity: Node = ("const", "oo")
    if all(op in {">", ">="} for op in operators):
        operators, sides = tuple(op.replace(">", "<") for op in reversed(operators)), tuple(reversed(sides))
    if not all(op in {"<", "<="} for op in operators):
        return None
    if len(sides) == 3 and _name(sides[1]) and not symbols(sides[0]) and not symbols(sides[2]):
        return ("interval", sides[0], operators[0] == "<", sides[2], operators[1] == "<"), _name(sides[1])
    if len(sides) == 2 and _name(sides[0]) and not symbols(sides[1]):
        return ("interval", ("mul", (("num", Fraction(-1)), infinity)), True, sides[1], operators[0] == "<"), _name(sides[0])
    if len(sides) == 2 and _name(sides[1]) and not symbols(sides[0]):
        return ("interval", sides[0], operators[0] == "<", infinity, True), _name(sides[1])
    return None
