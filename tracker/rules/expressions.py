"""The small language in which rule files state their tests, and its three-valued evaluation.

Python-like: numbers, text, names, ``+ - * /``, comparisons (also chained), ``in (...)``, ``and or not``.
Nothing else parses, and nothing is ever executed. A value that is not known makes a comparison *unknown*,
never false (Kleene's logic), and an answer of unknown names the parameters that would settle it. A value may
also be an :class:`Interval`.

>>> test = Expression.parse("tpp >= 4800 or (tpp >= 1600 and density >= 5.92)", {"tpp", "density"})
>>> test.evaluate({"tpp": 5000.0, "density": None}).truth
True
>>> answer = test.evaluate({"tpp": 2000.0, "density": None})
>>> answer.truth, answer.missing
(None, ('density',))
"""

from __future__ import annotations

import ast
import math
import operator as operators
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tracker.core.errors import BadInput
from tracker.core.interval import Interval

MAX_LENGTH = 1000
MAX_DEPTH = 40


class BadExpression(BadInput):
    """A test in a rule file cannot be read; the message shows the text, what is wrong and what is allowed."""


Value = bool | int | float | str | Interval | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison as it came out: ``margin`` is value minus threshold (positive: above), None for texts
    and unknowns."""

    text: str
    parameters: tuple[str, ...]
    value: Value
    operator: str
    threshold: Value
    truth: bool | None
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """``truth`` is None for unknown; ``missing`` then names the parameters that keep it so, sorted."""

    truth: bool | None
    comparisons: tuple[Comparison, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Term:
    """Value of an arithmetic node: a number interval, a text, a truth value, or None with the names to
    blame."""

    value: Interval | str | bool | None
    names: tuple[str, ...] = ()
    missing: frozenset[str] = frozenset()


_COMPARE = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
_MEMBER = {ast.In: "in", ast.NotIn: "not in"}
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div)
_ALLOWED = "allowed are names, numbers, quoted text, + - * /, < <= > >= == !=, in (...), and, or, not"


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed test. Make one with :meth:`parse`; ``names`` are the parameters it speaks of."""

    text: str
    tree: ast.expr
    names: frozenset[str]

    @classmethod
    def parse(cls, text: str, known_names: Collection[str]) -> Expression:
        """Read ``text``; raises :class:`BadExpression` for anything outside the language or a name not in
        ``known_names``."""
        tree = _parse(text)
        names = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
        if unknown := sorted(names - set(known_names)):
            raise BadExpression(
                f"{text!r} speaks of {', '.join(unknown)}; known parameters are {', '.join(sorted(known_names))}"
            )
        return cls(" ".join(text.split()), tree, names)

    def evaluate(self, values: Mapping[str, Value]) -> Evaluation:
        """Truth of the test for ``values`` (a name that is absent or None is unknown), with every
        comparison made."""
        comparisons: list[Comparison] = []
        truth, missing = _truth(self.tree, values, comparisons)
        return Evaluation(truth, tuple(comparisons), tuple(sorted(missing)) if truth is None else ())


def _parse(text: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise BadExpression(f"a test of {len(text)} characters is too long; at most {MAX_LENGTH} are read")
    try:
        tree = ast.parse(" ".join(text.split()), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadExpression(f"{text!r} cannot be read as a test ({error}); {_ALLOWED}") from error
    _check_truth(tree, text, 0)
    return tree


def _refuse(node: ast.AST, text: str, why: str) -> BadExpression:
    shown = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
    return BadExpression(f"{text!r}: {shown!r} {why}; {_ALLOWED}")


def _check_truth(node: ast.expr, text: str, depth: int) -> None:
    """Refuse everything that is not a yes-or-no question of the language."""
    if depth > MAX_DEPTH:
        raise BadExpression(f"a test nested more than {MAX_DEPTH} deep is not read; split it into paragraphs")
    if isinstance(node, ast.BoolOp):
        for value in node.values:
            _check_truth(value, text, depth + 1)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _check_truth(node.operand, text, depth + 1)
    elif isinstance(node, ast.Compare):
        _check_comparison(node, text, depth)
    elif not (
        isinstance(node, ast.Name) or (isinstance(node, ast.Constant) and isinstance(node.value, bool))
    ):
        raise _refuse(node, text, "is not a question that can be answered yes or no")


def _check_comparison(node: ast.Compare, text: str, depth: int) -> None:
    _check_term(node.left, text, depth + 1)
    for operator, right in zip(node.ops, node.comparators, strict=True):
        if type(operator) in _MEMBER:
            if (
                not isinstance(right, ast.Tuple | ast.List)
                or not right.elts
                or not all(isinstance(e, ast.Constant) for e in right.elts)
            ):
                raise _refuse(right, text, "must be a list of values in parentheses after 'in'")
            for element in right.elts:
                _check_term(element, text, depth + 1)
        elif type(operator) in _COMPARE:
            _check_term(right, text, depth + 1)
        else:
            raise _refuse(node, text, "uses a comparison that is not allowed")
    if len(node.ops) > 1 and any(type(operator) in _MEMBER for operator in node.ops):
        raise _refuse(node, text, "mixes 'in' with another comparison")


def _check_term(node: ast.expr, text: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise BadExpression(f"a test nested more than {MAX_DEPTH} deep is not read; split it into paragraphs")
    if isinstance(node, ast.BinOp) and isinstance(node.op, _ARITHMETIC):
        _check_term(node.left, text, depth + 1)
        _check_term(node.right, text, depth + 1)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        _check_term(node.operand, text, depth + 1)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float | str):
        if isinstance(node.value, float) and not math.isfinite(node.value):
            raise _refuse(node, text, "is not a finite number")
    elif not isinstance(node, ast.Name):
        raise _refuse(node, text, "is not allowed here")


def _truth(
    node: ast.expr, values: Mapping[str, Value], log: list[Comparison]
) -> tuple[bool | None, frozenset[str]]:
    if isinstance(node, ast.BoolOp):
        # every operand is evaluated, so that the derivation shows all comparisons and not only the first that decided
        answers = [_truth(value, values, log) for value in node.values]
        decisive = isinstance(node.op, ast.Or)
        return _connected(answers, decisive)
    if isinstance(node, ast.UnaryOp):
        truth, missing = _truth(node.operand, values, log)
        return (None if truth is None else not truth), missing
    if isinstance(node, ast.Compare):
        return _comparison(node, values, log)
    if isinstance(node, ast.Constant):
        return bool(node.value), frozenset()
    assert isinstance(node, ast.Name)
    return _question(node.id, values, log)


def _connected(
    answers: list[tuple[bool | None, frozenset[str]]], decisive: bool
) -> tuple[bool | None, frozenset[str]]:
    """Kleene's or (decisive True) and and (decisive False)."""
    if any(truth is decisive for truth, _ in answers):
        return decisive, frozenset()
    unknown = [missing for truth, missing in answers if truth is None]
    return (None, frozenset().union(*unknown)) if unknown else (not decisive, frozenset())


def _question(
    name: str, values: Mapping[str, Value], log: list[Comparison]
) -> tuple[bool | None, frozenset[str]]:
    value = values.get(name)
    truth = value if isinstance(value, bool) else None
    log.append(Comparison(name, (name,), value, "is", True, truth))
    return truth, frozenset() if truth is not None else frozenset({name})


def _comparison(
    node: ast.Compare, values: Mapping[str, Value], log: list[Comparison]
) -> tuple[bool | None, frozenset[str]]:
    answers = []
    left_node = node.left
    for operator, right_node, usual in zip(node.ops, node.comparators, _usual(node), strict=True):
        value = values.get(usual.name) if usual is not None else None
        if usual is not None and type(value) is float and math.isfinite(value):
            entry, missing = usual.asked(value), _NOTHING
        elif type(operator) in _MEMBER:
            entry, missing = _membership(left_node, operator, right_node, values)
        else:
            entry, missing = _pair(left_node, operator, right_node, values)
        log.append(entry)
        answers.append((entry.truth, missing))
        left_node = right_node
    return _connected(answers, decisive=False)


_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Usual:
    """The usual comparison, a parameter against a number, made ready: a ledger asks it hundreds of thousands of times."""

    name: str
    symbol: str
    threshold: float
    text: str

    def asked(self, value: float) -> Comparison:
        truth = bool(_OPERATORS[self.symbol](value, self.threshold))
        margin = round(value - self.threshold, 9)
        return Comparison(self.text, (self.name,), value, self.symbol, self.threshold, truth, margin)


_OPERATORS = {
    "<": operators.lt, "<=": operators.le, ">": operators.gt, ">=": operators.ge, "==": operators.eq, "!=": operators.ne,
}  # fmt: skip


def _usual(node: ast.Compare) -> list[_Usual | None]:
    """The parts of a comparison that are usual ones, worked out once and kept on the node."""
    found: list[_Usual | None] | None = getattr(node, "usual", None)
    if found is None:
        lefts = [node.left, *node.comparators]
        found = [_as_usual(*part) for part in zip(lefts, node.ops, node.comparators, strict=False)]
        node.usual = found  # type: ignore[attr-defined]  # ours
    return found


def _as_usual(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> _Usual | None:
    symbol = _COMPARE.get(type(operator))
    if symbol is not None and isinstance(left, ast.Constant):
        left, right, symbol = right, left, _MIRRORED[symbol]
    if symbol is None or not isinstance(left, ast.Name) or not isinstance(right, ast.Constant):
        return None
    threshold = right.value
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        return None
    return _Usual(left.id, symbol, float(threshold), f"{_shown(left)} {symbol} {_shown(right)}")


def _pair(
    left_node: ast.expr, operator: ast.cmpop, right_node: ast.expr, values: Mapping[str, Value]
) -> tuple[Comparison, frozenset[str]]:
    left, right, symbol = _term(left_node, values), _term(right_node, values), _COMPARE[type(operator)]
    # "1.6 <= density" is shown as "density >= 1.6": a reader looks for the parameter first
    if left_node_is_constant := isinstance(left_node, ast.Constant):
        left, right, symbol = right, left, _MIRRORED[symbol]
    first, second = (right_node, left_node) if left_node_is_constant else (left_node, right_node)
    truth = _holds(left.value, symbol, right.value)
    text = f"{_shown(first)} {symbol} {_shown(second)}"
    entry = Comparison(
        text,
        left.names + right.names,
        _plain(left.value),
        symbol,
        _plain(right.value),
        truth,
        _margin(left.value, right.value),
    )
    missing = left.missing | right.missing
    # an interval that straddles the threshold is as good as missing
    if truth is None and not missing:
        missing = frozenset(left.names + right.names)
    return entry, missing if truth is None else frozenset()


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def _membership(
    left_node: ast.expr, operator: ast.cmpop, right_node: ast.expr, values: Mapping[str, Value]
) -> tuple[Comparison, frozenset[str]]:
    assert isinstance(right_node, ast.Tuple | ast.List)
    left = _term(left_node, values)
    answers = [
        (_holds(left.value, "==", _term(e, values).value), left.missing or frozenset(left.names))
        for e in right_node.elts
    ]
    truth, missing = _connected(answers, decisive=True)
    symbol = _MEMBER[type(operator)]
    if truth is not None and symbol == "not in":
        truth = not truth
    listed = ", ".join(_shown(element) for element in right_node.elts)
    text = f"{_shown(left_node)} {symbol} ({listed})"
    return Comparison(text, left.names, _plain(left.value), symbol, f"({listed})", truth), missing


def _shown(node: ast.expr) -> str:
    """A part of a test as text. Kept on the node: a rule is asked thousands of times, and unparsing costs more than asking."""
    text: str | None = getattr(node, "shown", None)
    if text is None:
        text = ast.unparse(node)
        node.shown = text  # type: ignore[attr-defined]  # ours
    return text


def _holds(
    left: Interval | str | bool | None, symbol: str, right: Interval | str | bool | None
) -> bool | None:
    """Truth of one comparison; None where a side is unknown, an interval straddles, or the kinds cannot be
    compared."""
    if left is None or right is None:
        return None
    if isinstance(left, Interval) and isinstance(right, Interval):
        return _interval_holds(left, symbol, right)
    if symbol not in ("==", "!=") or type(left) is not type(right):
        return None
    return (left == right) is (symbol == "==")


def _interval_holds(left: Interval, symbol: str, right: Interval) -> bool | None:
    if symbol in ("<", "<="):
        return _interval_holds(right, _MIRRORED[symbol], left)
    if symbol in ("==", "!="):
        if left.is_point and right.is_point:
            return (left.low == right.low) is (symbol == "==")
        apart = left.high < right.low or right.high < left.low
        return (symbol == "!=") if apart else None
    strict = symbol == ">"
    surely = left.low > right.high if strict else left.low >= right.high
    never = left.high <= right.low if strict else left.high < right.low
    return True if surely else False if never else None


def _margin(left: Interval | str | bool | None, right: Interval | str | bool | None) -> float | None:
    """Distance to the threshold when both are plain numbers; rounded so that 4,799.9 - 4,800 reads -0.1."""
    if isinstance(left, Interval) and isinstance(right, Interval) and left.is_point and right.is_point:
        return round(left.low - right.low, 9)
    return None


def _plain(value: Interval | str | bool | None) -> Value:
    return value.low if isinstance(value, Interval) and value.is_point else value


def _as_term(value: Value) -> Interval | str | bool | None:
    if isinstance(value, bool) or value is None or isinstance(value, str | Interval):
        return value
    return Interval(float(value), float(value)) if math.isfinite(value) else None


def _term(node: ast.expr, values: Mapping[str, Value]) -> _Term:
    if isinstance(node, ast.Name):
        value = _as_term(values.get(node.id))
        return _Term(value, (node.id,), frozenset({node.id}) if value is None else frozenset())
    if isinstance(node, ast.Constant):
        # parse() let only numbers, texts and truth values through
        assert isinstance(node.value, bool | int | float | str)
        return _Term(_as_term(node.value))
    if isinstance(node, ast.UnaryOp):
        operand = _term(node.operand, values)
        value = operand.value
        negated = Interval(-value.high, -value.low) if isinstance(value, Interval) else None
        return _Term(negated, operand.names, operand.missing)
    assert isinstance(node, ast.BinOp)
    left, right = _term(node.left, values), _term(node.right, values)
    return _Term(
        _arithmetic(left.value, node.op, right.value),
        left.names + right.names,
        left.missing | right.missing,
    )


def _arithmetic(
    left: Interval | str | bool | None, operator: ast.operator, right: Interval | str | bool | None
) -> Interval | None:
    """Interval arithmetic; None (unknown) for texts, unknowns and a divisor that may be zero."""
    if not isinstance(left, Interval) or not isinstance(right, Interval):
        return None
    if isinstance(operator, ast.Add):
        return Interval(left.low + right.low, left.high + right.high)
    if isinstance(operator, ast.Sub):
        return Interval(left.low - right.high, left.high - right.low)
    if isinstance(operator, ast.Div):
        if right.low <= 0 <= right.high:
            return None
        right = Interval(1 / right.high, 1 / right.low)
    corners = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
    if any(math.isnan(corner) for corner in corners):
        return None
    return Interval(min(corners), max(corners))
