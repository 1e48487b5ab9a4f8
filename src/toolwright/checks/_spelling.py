r"""One spelling for what answers write in many: Unicode signs, LaTeX dressing, currency signs, thousands separators.

The result is still text, for `_grammar` to read. Nothing that changes a value happens here, and nothing is decided.
"""

from __future__ import annotations

import re
import unicodedata

USD = "\ue000"
"""Stands for a dollar sign that means money, once the dollar signs that mean mathematics are gone."""

ROW = "\ue001"
"""Stands for two backslashes, the separator of matrix rows."""

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋ₙ", "0123456789+-n")
_FRACTIONS = {c: unicodedata.normalize("NFKC", c).split("⁄") for c in "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"}
_GREEK = {chr(code): f"\\{unicodedata.name(chr(code)).split()[-1].lower()} " for code in [*range(0x3B1, 0x3C2), *range(0x3C3, 0x3CA)]}
_SIGNS = {
    **_GREEK,
    "λ": "\\lambda ",
    "−": "-",
    "–": "-",
    "—": "-",
    "‒": "-",
    "‐": "-",
    "‑": "-",
    "×": "\\times ",
    "·": "\\cdot ",
    "⋅": "\\cdot ",
    "∙": "\\cdot ",
    "∗": "*",
    "÷": "\\div ",
    "∕": "/",
    "⁄": "/",
    "√": "\\sqrt ",
    "∛": "\\sqrt[3] ",
    "∞": "\\infty ",
    "∪": "\\cup ",
    "∩": "\\cap ",
    "∖": "\\setminus ",
    "≤": "\\le ",
    "⩽": "\\le ",
    "≥": "\\ge ",
    "⩾": "\\ge ",
    "≠": "\\ne ",
    "∈": "\\in ",
    "±": "\\pm ",
    "∓": "\\mp ",
    "°": "^{\\circ}",
    "º": "^{\\circ}",
    "∅": "\\emptyset ",
    "ℝ": "\\mathbb{R}",
    "ℤ": "\\mathbb{Z}",
    "⌊": "\\lfloor ",
    "⌋": "\\rfloor ",
    "⌈": "\\lceil ",
    "⌉": "\\rceil ",
    "⟨": "\\langle ",
    "⟩": "\\rangle ",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "′": "'",
    "…": "\\ldots ",
    "¢": " cents",
}
_SPACES = re.compile(r"\\(?:quad|qquad|enspace|thinspace|medspace|displaystyle|textstyle|limits|nolimits|hfill|break)(?![A-Za-z])|\\[;: >/]|~|\\\n|\\$")
_SIZES = re.compile(r"\\(?:left|right|middle|[bB]igg?[lrm]?)(?![A-Za-z])\s*(?P<null>\.)?")
_TEXTS = re.compile(r"\\(?:mbox|hbox|textbf|textit|textrm|textnormal|textsf|texttt|emph|mathit|mathsf|mathtt|rm|bf|it)\s*(?=\{)")
_ROMANS = re.compile(r"\\(?:mathrm|operatorname\*?|mathop)\s*\{\s*(?P<word>[^{}]*?)\s*\}")
_STYLES = re.compile(r"\\(?:mathbf|boldsymbol|bm|mathcal|mathfrak|vec|hat)\s*\{(?P<inner>[^{}]*)\}")
_FUNCTIONS = {"sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "log", "ln", "exp", "gcd", "lcm", "max", "min"}
_RENAMED = {
    "dfrac": "frac",
    "tfrac": "frac",
    "cfrac": "frac",
    "dbinom": "binom",
    "tbinom": "binom",
    "leq": "le",
    "leqslant": "le",
    "geq": "ge",
    "geqslant": "ge",
    "neq": "ne",
    "lt": "<",
    "gt": ">",
    "varnothing": "emptyset",
    "lbrace": "{",
    "rbrace": "}",
    "lbrack": "[",
    "rbrack": "]",
    "lvert": "|",
    "rvert": "|",
    "vert": "|",
    "bullet": "cdot",
    "ast": "cdot",
    "degree": "circ",
    "dots": "ldots",
    "cdots": "ldots",
    "operatorname": "text",
    "varphi": "phi",
    "vartheta": "theta",
    "varepsilon": "epsilon",
    "lor": "text{ or }",
    "vee": "text{ or }",
    "colon": ":",
    "imath": "i",
    "bmod": "mod",
    "arccot": "acot",
}
_WITHOUT_BACKSLASH = {"<", ">", "|", ":", "[", "]", "i"}
_PREFACE = re.compile(r"(?:(?:so|thus|hence|therefore),?\s+)?(?:the\s+)?(?:final\s+|correct\s+)?(?:answer|result)\s*(?:is|:|=)\s*:?\s*", re.IGNORECASE)


def respell(text: str) -> str:
    """The text in one spelling: ASCII and plain LaTeX, no delimiters or dressing, single spaces."""
    text = text.strip().strip("\u200b\ufeff").replace("\u200b", "").replace("\ufeff", "")
    text = _unicode(text)
    text = _dollars(text.replace("\\\\", ROW).replace("\\$", USD))
    text = _undress(text)
    text = re.sub(r"(?<=\d)(?:\{,\}|[\u202f\u2009\u00a0])(?=\d{3}(?!\d))", "", text)
    text = re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip()
    text = _PREFACE.sub("", text, count=1) if _PREFACE.match(text) else text
    return _trim(text)


def _unicode(text: str) -> str:
    if text.isascii():
        return text
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+", lambda m: "^{" + m[0].translate(_SUPERSCRIPTS) + "}", text)
    text = re.sub("[₀₁₂₃₄₅₆₇₈₉₊₋ₙ]+", lambda m: "_{" + m[0].translate(_SUBSCRIPTS) + "}", text)
    text = re.sub(f"[{''.join(_FRACTIONS)}]", lambda m: "\\frac{{{}}}{{{}}}".format(*_FRACTIONS[m[0]]), text)
    return "".join(_SIGNS.get(c, c) for c in text)


def _dollars(text: str) -> str:
    """Dollar signs that delimit mathematics go; the others become `USD`."""
    text = text.replace("$$", "$")
    math = re.compile(r"\$(?! )((?:[^$])*?[^\s$])\$(?!\d)")
    while (match := math.search(text)) is not None:
        text = text[: match.start()] + " " + match[1] + " " + text[match.end() :]
    return text.replace("$", USD)


def _undress(text: str) -> str:
    text = re.sub(r"\\\(|\\\)|\\\[|\\\]", " ", text)
    text = re.sub(r",\s*\\!\s*(?=\d{3})", "{,}", text).replace("\\!", "")
    text = re.sub(r"(?<=\d)\\,\s*(?=\d{3}(?!\d))", "", text).replace("\\,", " ")
    text = re.sub(r"\\(?:boxed|fbox)\s*(?=\{)", "", text)
    text = _SIZES.sub(" ", text)
    text = _SPACES.sub(" ", text)
    text = _TEXTS.sub(lambda _: "\\text", text)
    text = _ROMANS.sub(_roman, text)
    text = re.sub(r"\\overline\s*\{([A-Z]{2,3})\}|\\(?:angle|triangle)(?![A-Za-z])", lambda m: m[1] or " ", text)
    text = _STYLES.sub(lambda m: f"{{{m['inner']}}}", text)
    text = re.sub(r"\\([A-Za-z]+)", _rename, text)
    text = re.sub(r"\^\s*\{\s*\\circ\s*\}|\^\s*\\circ(?![A-Za-z])|\\circ(?![A-Za-z])", "^{\\\\circ}", text)
    text = text.replace("\\%", "%").replace("\\#", "#").replace("\\_", "_").replace("\\&", "&")
    return re.sub(r"\*\*(?=\S)(.+?)(?<=\S)\*\*", r"\1", text) if text.startswith("**") and text.endswith("**") else text


def _roman(match: re.Match[str]) -> str:
    word = match["word"]
    if word in _FUNCTIONS:
        return f"\\{word} "
    return f"{{{word}}}" if len(word) == 1 else f"\\text{{{word}}}"


def _rename(match: re.Match[str]) -> str:
    name = _RENAMED.get(match[1], match[1])
    return f" {name} " if name in _WITHOUT_BACKSLASH else f"\\{name}"


def _trim(text: str) -> str:
    """The text without quotes, trailing punctuation, or braces around all of it."""
    while True:
        before = text
        text = text.strip().strip('"`')
        text = re.sub(r"(?<=[^.])\.$|[,;:]+$", "", text).strip()
        if text.startswith("'") and text.endswith("'"):
            text = text[1:-1]
        if text.startswith("{") and text.endswith("}") and "," not in text and _wraps(text):
            text = text[1:-1]
        if text == before:
            return text


def _wraps(text: str) -> bool:
    """Whether the first brace closes with the last one."""
    depth = 0
    for position, character in enumerate(text):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return position == len(text) - 1
    return False
