r"""Answers as trees: a reader for the part of LaTeX and plain mathematics that answers are written in.

A node is a nested tuple whose first item is its tag, so nodes compare and hash by value::

    ("num", Fraction)  ("sym", name)  ("const", "pi"|"e"|"i"|"oo"|"R"|…)  ("add", nodes)  ("mul", nodes)  ("div", a, b)  ("pow", a, b)  ("fn", name, nodes)
    ("pm", a) ("mp", a): both signs            ("deg", a): degrees        ("base", digits, base)   ("ratio", nodes)
    ("list", nodes) "1, 2"   ("tuple", nodes) "(1, 2)"   ("bracket", nodes) "[1, 2]"   ("set", nodes)   ("interval", a, a_open, b, b_open)
    ("union", nodes)   ("minus", a, b)   ("matrix", rows)   ("rel", operators, sides)   ("in", a, b)

What it cannot read (integrals, prose, ellipses) raises `Unreadable`; nothing is guessed. "(1, 2)" stays a tuple here: whether it is an open interval is
decided where it is compared with something.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

Node = tuple[Any, ...]

FUNCTIONS = {
    **{
        name: name
        for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "ln", "log", "exp", "gcd", "lcm", "max", "min", "abs", "floor")
    },
    **{f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan")},
    **{name: name for name in ("asin", "acos", "atan", "acot")},
    "ceil": "ceiling",
    "ceiling": "ceiling",
}
_GREEK = frozenset(
    re.findall(r"\w+", "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau phi chi psi omega")
    + re.findall(r"\w+", "Gamma Delta Theta Lambda Sigma Phi Psi Omega ell")
)
_WORDS = {
    **dict.fromkeys(("oo", "inf", "infinity", "infty"), ("const", "oo")),
    "pi": ("const", "pi"),
    "Pi": ("const", "pi"),
    **{g: ("sym", g) for g in ("theta", "alpha", "beta", "lambda")},
}
_SPELLED = sorted([*FUNCTIONS, *_WORDS, "sqrt", "cbrt", "root"], key=len, reverse=True)
_TOKEN = re.compile(
    r"(?P<space>\s+)|\\(?P<env>(?:begin|end)\{[A-Za-z]+\*?\})|(?P<num>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+(?![\d.]))?)|\\(?P<cmd>[A-Za-z]+)|(?P<brace>\\[{}|])|(?P<row>\ue001)|(?P<word>[A-Za-z]+)"
    r"|(?P<op>\*\*|<=|>=|!=|==|[-+*/^_()\[\]{}|,;:=<>!%&])"
)
_RELATIONS = {
    "=": "=",
    "==": "=",
    "<": "<",
    ">": ">",
    "<=": "<=",
    ">=": ">=",
    "!=": "!=",
    "\\le": "<=",
    "\\ge": ">=",
    "\\ne": "!=",
    "\\equiv": "=",
    "\\approx": "~",
}
ROW = "\ue001"
"""Stands for the row separator, two backslashes, as `_spelling` writes it."""
_MAX_DEPTH = 60
_MAX_TOKENS = 2000


class Unreadable(ValueError):
    """The text is not in the grammar."""


def parse(text: str) -> Node:
    """The tree of a respelled text. Raises: Unreadable."""
    parser = _Parser(_tokens(text))
    node = parser.items(("end",))
    parser.expect("end")
    return node


def _tokens(text: str) -> list[tuple[str, bool]]:
    """(token, whether a space stands before it) of the text, with an end mark."""
    tokens: list[tuple[str, bool]] = []
    position, spaced = 0, False
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or len(tokens) > _MAX_TOKENS:
            raise Unreadable(text[position : position + 20])
        position = match.end()
        if match["space"]:
            spaced = True
            continue
        for token in _words(match["word"]) if match["word"] else [match[0]]:
            tokens.append((token, spaced))
            spaced = False
    return [*tokens, ("end", False)]


def _words(run: str) -> list[str]:
    """A run of letters as known names and single letters; a run that looks like a word is no mathematics."""
    out: list[str] = []
    letters = 0
    while run:
        name = next((name for name in _SPELLED if run.startswith(name)), None)
        letters = 0 if name else letters + 1
        if letters > 3:
            raise Unreadable(run)
        token = name or run[0]
        out.append(f"\\{name}" if name else token)
        run = run[len(token) :]
    return out


class _Parser:
    """Recursive descent over the tokens; one method a level."""

    def __init__(self, tokens: list[tuple[str, bool]]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.bars = 0

    @property
    def token(self) -> str:
        return self.tokens[self.at][0]

    def take(self) -> str:
        token = self.token
        if token == "end":
            raise Unreadable("unexpected end")
        self.at += 1
        return token

    def accept(self, *accepted: str) -> bool:
        if self.token in accepted:
            self.at += 1
            return True
        return False

    def expect(self, token: str) -> None:
        if self.token != token:
            raise Unreadable(f"{self.token!r} where {token!r} should stand")
        if token != "end":
            self.at += 1

    def items(self, closers: tuple[str, ...]) -> Node:
        """One relation, or a bare list of several."""
        found = [self.relation()]
        while self.accept(",", ";"):
            if self.token in closers and self.token != "[":
                break
            found.append(self.relation())
        return found[0] if len(found) == 1 else ("list", tuple(found))

    def relation(self) -> Node:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise Unreadable("nested too deeply")
        sides: list[Node] = [self.union()]
        operators: list[str] = []
        while self.token in _RELATIONS or self.token == "\\in":
            if self.accept("\\in"):
                if operators:
                    raise Unreadable("a relation beside \\in")
                self.depth -= 1
                return ("in", sides[0], self.union())
            operators.append(_RELATIONS[self.take()])
            sides.append(self.union())
        self.depth -= 1
        return ("rel", tuple(operators), tuple(sides)) if operators else sides[0]

    def union(self) -> Node:
        node = self.sum()
        while self.token in {"\\cup", "\\cap", "\\setminus", "\\backslash"} or self._union_letter(node):
            operator = self.take()
            right = self.sum()
            if operator in {"\\cup", "U"}:
                node = ("union", (*(node[1] if node[0] == "union" else (node,)), right))
            else:
                node = ("minus" if operator != "\\cap" else "intersection", node, right)
        return node

    def _union_letter(self, left: Node) -> bool:
        """Whether a plain letter U joins two intervals."""
        return self.token == "U" and left[0] in {"tuple", "interval", "bracket", "union", "set"} and self.tokens[self.at + 1][0] in {"(", "[", "{", "\\{"}

    def sum(self) -> Node:
        terms: list[Node] = []
        sign = self._sign(leading=True)
        while True:
            term = self.product()
            terms.append(("mul", (("num", Fraction(-1)), term)) if sign == "-" else (sign, term) if sign in {"pm", "mp"} else term)
            if self.token not in {"+", "-", "\\pm", "\\mp"}:
                return terms[0] if len(terms) == 1 else ("add", tuple(terms))
            sign = self._sign(leading=False)

    def _sign(self, *, leading: bool) -> str:
        sign = ""
        while self.token in {"+", "-", "\\pm", "\\mp"}:
            token = self.take()
            if token == "+" and self.token == "-" and not leading and self.tokens[self.at + 1][0] == "\\":
                continue
            sign = {"+": sign, "-": "-" if sign != "-" else "", "\\pm": "pm", "\\mp": "mp"}[token]
        return sign

    def product(self) -> Node:
        factors = [self.power()]
        while True:
            if self.accept("*", "\\cdot", "\\times"):
                factors.append(self._signed())
            elif self.accept("/", "\\div"):
                factors[:] = [("div", factors[0] if len(factors) == 1 else ("mul", tuple(factors)), self._signed())]
            elif self.token == ":" and factors[0][0] == "num":
                return self._ratio(factors)
            elif self._begins_factor() and not self._union_letter(factors[-1]):
                self._implicit(factors)
            else:
                return factors[0] if len(factors) == 1 else ("mul", tuple(factors))

    def _ratio(self, factors: list[Node]) -> Node:
        parts = [factors[0] if len(factors) == 1 else ("mul", tuple(factors))]
        while self.accept(":"):
            parts.append(self.power())
        return ("ratio", tuple(parts))

    def _signed(self) -> Node:
        sign = self._sign(leading=True)
        node = self.power()
        return ("mul", (("num", Fraction(-1)), node)) if sign == "-" else (sign, node) if sign else node

    def _begins_factor(self) -> bool:
        token = self.token
        if token == "|":
            return self.bars == 0 and self.at + 1 < len(self.tokens) - 1
        if token.startswith("\\begin{"):
            return True
        if token in {"(", "\\{", "{", "\\lfloor", "\\lceil", "\\langle"} or token[0].isdigit() or token[0] == ".":
            return True
        if token.startswith("\\"):
            return (
                token[1:] in FUNCTIONS or token[1:] in _WORDS or token[1:] in _GREEK or token in {"\\sqrt", "\\cbrt", "\\root", "\\frac", "\\binom", "\\mathbb"}
            )
        return token.isalpha() and token != "end"

    def _implicit(self, factors: list[Node]) -> None:
        """Take the next factor of a product without a sign; behind a whole number a proper fraction makes a mixed number instead."""
        before, spaced = factors[-1], self.tokens[self.at][1]
        whole = before[0] == "num" and before[1].denominator == 1 and before[1] > 0 and self.tokens[self.at - 1][0].isdigit()
        if (self.token[0].isdigit() or self.token[0] == ".") and self.tokens[self.at - 1][0] != ")":
            if not (whole and spaced and self.token.isdigit() and self.tokens[self.at + 1][0] == "/" and self.tokens[self.at + 2][0].isdigit()):
                raise Unreadable("two numbers side by side")
            numerator, _, denominator = int(self.take()), self.take(), int(self.take())
            if not 0 < numerator < denominator:
                raise Unreadable("no proper fraction behind a whole number")
            factors[-1] = ("num", before[1] + Fraction(numerator, denominator))
            return
        fraction = self.token == "\\frac"
        node = self.power()
        if whole and fraction and node[0] == "div" and node[1][0] == node[2][0] == "num" and 0 < node[1][1] < node[2][1]:
            factors[-1] = ("num", before[1] + node[1][1] / node[2][1])
        else:
            factors.append(node)

    def power(self) -> Node:
        node = self.postfix(self.primary())
        if self.accept("^", "**"):
            if self.token == "{" and self.tokens[self.at + 1][0] == "\\circ":
                self.at += 2
                self.expect("}")
                return ("deg", node)
            return self.postfix(("pow", node, self._exponent()))
        return node

    def _exponent(self) -> Node:
        sign = self._sign(leading=True)
        node = self.power()
        if sign in {"pm", "mp"}:
            raise Unreadable("a double sign in an exponent")
        return ("mul", (("num", Fraction(-1)), node)) if sign == "-" else node

    def postfix(self, node: Node) -> Node:
        while True:
            if self.accept("!"):
                node = ("fn", "factorial", (node,))
            elif self.accept("%"):
                node = ("div", node, ("num", Fraction(100)))
            else:
                return node

    def primary(self) -> Node:
        token = self.take()
        if token[0].isdigit() or token[0] == ".":
            return self._number(token)
        if token in {"(", "[", "]"}:
            return self._bracketed(token)
        if token in {"{", "\\{"}:
            return self._braced(token)
        if token in {"|", "\\|"}:
            self.bars += 1
            node = self.relation()
            self.bars -= 1
            self.expect(token)
            return ("fn", "abs", (node,))
        if token.startswith("\\"):
            return self._command(token[1:])
        if token.isalpha():
            return self._symbol(token)
        raise Unreadable(token)

    def _number(self, token: str) -> Node:
        if self.token == "_":
            self.take()
            base = self._argument()
            if token.isdigit() and base[0] == "num" and base[1].denominator == 1 and 2 <= base[1] <= 36:
                return ("base", token, int(base[1]))
            raise Unreadable("a subscript on a number")
        return ("num", exact(token))

    def _symbol(self, name: str) -> Node:
        if self.token == "_":
            self.take()
            return ("sym", f"{name}_{self._subscript()}")
        return ("const", name) if name in {"e", "i"} else ("sym", name)

    def _subscript(self) -> str:
        if not self.accept("{"):
            return self.take()
        taken = []
        while not self.accept("}"):
            taken.append(self.take())
        return "".join(taken)

    def _bracketed(self, opening: str) -> Node:
        bars, self.bars = self.bars, 0
        if opening == "(" and self.accept(")"):
            raise Unreadable("empty parentheses")
        node = self.items((")", "]", "["))
        self.bars = bars
        closing = self.take()
        if closing not in {")", "]", "["} or (opening == "(" and closing == "["):
            raise Unreadable(f"{opening} closed by {closing}")
        if node[0] != "list":
            if node[0] == "matrix" and (opening, closing) in {("[", "]"), ("(", ")")}:
                return node
            if (opening, closing) == ("[", "]"):
                return ("bracket", (node,))
            if (opening, closing) != ("(", ")"):
                raise Unreadable("an interval of one end")
            return ("group", node) if node[0] in {"tuple", "rel", "bracket", "set", "interval", "union"} else node
        if (opening, closing) == ("(", ")"):
            return ("tuple", node[1])
        if (opening, closing) == ("[", "]"):
            return ("bracket", node[1])
        if len(node[1]) != 2:
            raise Unreadable("an interval of more than two ends")
        return ("interval", node[1][0], opening in "(]", node[1][1], closing in ")[")

    def _braced(self, opening: str) -> Node:
        closing = "\\}" if opening == "\\{" else "}"
        if self.accept(closing):
            return ("set", ())
        bars, self.bars = self.bars, 0
        node = self.items((closing,))
        self.bars = bars
        self.expect(closing)
        if node[0] == "list":
            return ("set", node[1])
        return ("set", (node,)) if opening == "\\{" else node

    def _argument(self) -> Node:
        """What a command takes: a group, or one token, of a number only its first digit."""
        if self.accept("{"):
            node = self.relation()
            self.expect("}")
            return node
        token, spaced = self.tokens[self.at]
        if token.isdigit() and len(token) > 1:
            self.tokens[self.at : self.at + 1] = [(token[0], spaced), (token[1:], False)]
        if token == "-":
            raise Unreadable("a sign as an argument")
        return self.primary()

    def _command(self, name: str) -> Node:
        if name in _WORDS:
            return _WORDS[name]
        if name in _GREEK:
            return self._symbol(name)
        if name == "frac":
            return ("div", self._argument(), self._argument())
        if name == "binom":
            return ("fn", "binomial", (self._argument(), self._argument()))
        if name in {"sqrt", "cbrt"}:
            return self._root(name)
        if name in FUNCTIONS:
            return self._function(FUNCTIONS[name])
        if name in {"lfloor", "lceil", "langle"}:
            return self._fenced(name)
        if name == "mathbb":
            self.expect("{")
            letter = self.take()
            self.expect("}")
            return ("const", letter)
        if name == "emptyset":
            return ("set", ())
        if name.startswith("begin{"):
            return self._matrix(name[6:-1])
        raise Unreadable(f"\\{name}")

    def _root(self, name: str) -> Node:
        index: Node = ("num", Fraction(3 if name == "cbrt" else 2))
        if name == "sqrt" and self.accept("["):
            index = self.relation()
            self.expect("]")
        whole = self.token.isdigit()
        inside = self.primary() if whole else self._argument()
        return ("pow", inside, ("div", ("num", Fraction(1)), index))

    def _fenced(self, name: str) -> Node:
        node = self.items(("\\r" + name[1:],))
        self.expect("\\r" + name[1:])
        if name == "langle":
            return ("tuple", node[1]) if node[0] == "list" else node
        return ("fn", {"lfloor": "floor", "lceil": "ceiling"}[name], (node,))

    def _function(self, name: str) -> Node:
        exponent: Node | None = None
        base: Node | None = None
        while self.token in {"^", "_"}:
            if self.take() == "_":
                base = self._argument()
            else:
                exponent = self._exponent()
        arguments = self._arguments()
        if exponent == ("mul", (("num", Fraction(-1)), ("num", Fraction(1)))) and name in {"sin", "cos", "tan"}:
            return ("fn", f"a{name}", arguments)
        if base is not None and name != "log":
            raise Unreadable(f"a subscript on {name}")
        node: Node = ("div", ("fn", "ln", arguments), ("fn", "ln", (base,))) if base is not None else ("fn", name, arguments)
        return node if exponent is None else ("pow", node, exponent)

    def _arguments(self) -> tuple[Node, ...]:
        """In parentheses, or all factors up to the next sign or function."""
        if self.token in {"(", "{", "["}:
            closing = {"(": ")", "{": "}", "[": "]"}[self.take()]
            node = self.items((closing,))
            self.expect(closing)
            return node[1] if node[0] == "list" else (node,)
        factors = [self.power()]
        while self._begins_factor() and self.token[1:] not in FUNCTIONS and self.token != "(":
            self._implicit(factors)
        return (factors[0] if len(factors) == 1 else ("mul", tuple(factors)),)

    def _matrix(self, kind: str) -> Node:
        if kind not in {"pmatrix", "bmatrix", "matrix", "Bmatrix", "array", "smallmatrix"}:
            raise Unreadable(kind)
        if kind == "array" and self.accept("{"):
            while not self.accept("}"):
                self.take()
        rows: list[tuple[Node, ...]] = [()]
        while self.token != f"\\end{{{kind}}}":
            rows[-1] += (self.relation(),)
            if self.accept("&"):
                continue
            if self.accept(ROW):
                rows.append(())
            elif not self.token.startswith("\\end"):
                raise Unreadable("a matrix cell that does not end")
        self.take()
        rows = [row for row in rows if row]
        if not rows or len({len(row) for row in rows}) != 1:
            raise Unreadable("rows of different lengths")
        return ("matrix", tuple(rows))


def exact(token: str) -> Fraction:
    """The value of a number as written; long ones go through Decimal, which has no limit on digits."""
    if len(token) < 1000 and "e" not in token.lower():
        return Fraction(token if not token.endswith(".") else token[:-1])
    digits, _, exponent = token.lower().partition("e")
    if len(exponent) > 5 or len(digits) > 20_000 or abs(int(exponent or 0)) > 20_000:
        raise Unreadable("a number too long to read")
    return Fraction(Decimal(digits).scaleb(int(exponent or 0), Context(prec=50_000)))
