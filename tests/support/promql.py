"""PromQL, read well enough to know which series an expression asks for.

A recursive descent over the grammar, without precedence, which labels do not
depend on. Each expression is judged against what a program exports: metric
names, label names, values asked for, `le` kept for quantiles, rates of counters
alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<number>\d+(?:\.\d+)?(?:[smhdwy](?:\d+[smhdwy])*)?)
    | (?P<name>[A-Za-z_:][A-Za-z0-9_:]*)
    | (?P<mark>=~|!~|!=|==|<=|>=|[-+*/%^<>=(){}\[\],@:])
    )""",
    re.VERBOSE,
)
AGGREGATORS = {"sum", "min", "max", "avg", "count", "topk", "bottomk", "quantile", "stddev"}
OF_COUNTERS = {"rate", "irate", "increase"}
FUNCTIONS = OF_COUNTERS | {
    "absent",
    "histogram_quantile",
    "vector",
    "time",
    "clamp_min",
    "abs",
    "max_over_time",
}
OPERATORS = {*"+-*/%^", "==", "!=", "<", ">", "<=", ">=", "and", "or", "unless"}
COUNTS = ("_total", "_bucket", "_count", "_sum")
BY_PROMETHEUS = frozenset({"job", "instance"})
"""Labels that every series gets where it is scraped."""


class PromqlError(Exception):
    """An expression asks for what is not exported, or is none."""


@dataclass
class Exported:
    """Metric → its label names, each with the values that were seen."""

    metrics: dict[str, dict[str, set[str]]] = field(default_factory=dict)

    @classmethod
    def read(cls, *scrapes: str) -> Exported:
        """Read what was scraped; `up` is Prometheus's own."""
        exported = cls({"up": {}})
        for family in (it for text in scrapes for it in text_string_to_metric_families(text)):
            for sample in family.samples:
                labels = exported.metrics.setdefault(sample.name, {})
                for name, value in sample.labels.items():
                    labels.setdefault(name, set()).add(value)
        return exported

    def judge(self, expression: str) -> frozenset[str]:
        """Return the labels of an expression's result.

        Raises:
            PromqlError: It asks for a metric, label or value that is not exported.
        """
        return _Reader(self.metrics, expression).whole()

    def label_values(self, metric: str, label: str) -> None:
        """Judge what a dashboard's variable asks for.

        Raises:
            PromqlError: There is no such metric or label.
        """
        if label not in self._labels(metric):
            raise PromqlError(f"{metric} has no label {label}")

    def _labels(self, metric: str) -> Mapping[str, set[str]]:
        if metric not in self.metrics:
            raise PromqlError(f"no metric {metric}")
        return self.metrics[metric]


def tokens(expression: str) -> list[tuple[str, str]]:
    """Return kind and text of each token.

    Raises:
        PromqlError: A character belongs to none.
    """
    found, at, text = [], 0, expression.rstrip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise PromqlError(f"cannot read {text[at:]!r}")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        at = match.end()
    return found


class _Reader:
    def __init__(self, metrics: Mapping[str, Mapping[str, set[str]]], expression: str) -> None:
        self._metrics = metrics
        self._left = tokens(expression)

    def whole(self) -> frozenset[str]:
        labels = self._binary()
        if self._left:
            raise PromqlError(f"cannot read from {self._left[0][1]!r} on")
        return labels

    def _peek(self) -> str:
        return self._left[0][1] if self._left else ""

    def _take(self, wanted: str = "") -> str:
        if not self._left or (wanted and self._left[0][1] != wanted):
            raise PromqlError(f"expected {wanted or 'more'}, found {self._peek() or 'the end'}")
        return self._left.pop(0)[1]

    def _binary(self) -> frozenset[str]:
        labels = self._unary()
        while self._peek() in OPERATORS:
            operator = self._take()
            if self._peek() == "bool":
                self._take()
            on = self._names() if self._peek() == "on" and self._take() else None
            right = self._unary()
            self._within(on or (), labels)
            self._within(on or (), right)
            if operator == "or":
                labels = labels & right
            elif operator not in ("and", "unless") and not labels:
                labels = right
        return labels

    def _unary(self) -> frozenset[str]:
        while self._peek() in ("+", "-"):
            self._take()
        labels = self._primary()
        while self._peek() in ("[", "offset"):
            if self._take() == "[":
                while self._peek() != "]":
                    self._take()
            self._take()
        return labels

    def _primary(self) -> frozenset[str]:
        kind = self._left[0][0] if self._left else ""
        text = self._take()
        if kind in ("number", "string"):
            return frozenset()
        if text == "(":
            labels = self._binary()
            self._take(")")
            return labels
        if text in AGGREGATORS:
            return self._aggregate()
        if self._peek() == "(":
            return self._call(text)
        if kind != "name":
            raise PromqlError(f"unexpected {text!r}")
        return self._selector(text)

    def _aggregate(self) -> frozenset[str]:
        how = self._take() if self._peek() in ("by", "without") else ""
        names = self._names() if how else ()
        labels = self._arguments()
        if not how and self._peek() in ("by", "without"):
            how, names = self._take(), self._names()
        self._within(names, labels)
        return labels - set(names) if how == "without" else frozenset(names)

    def _call(self, function: str) -> frozenset[str]:
        if function not in FUNCTIONS:
            raise PromqlError(f"unknown function {function}")
        if function in OF_COUNTERS and not self._left[1][1].endswith(COUNTS):
            raise PromqlError(f"{function} of {self._left[1][1]}, which is no counter")
        labels = self._arguments()
        if function == "histogram_quantile":
            self._within(("le",), labels)
        return labels - {"le"} if function == "histogram_quantile" else labels

    def _arguments(self) -> frozenset[str]:
        self._take("(")
        labels: frozenset[str] = frozenset()
        while self._peek() != ")":
            labels |= self._binary()
            if self._peek() == ",":
                self._take()
        self._take(")")
        return labels

    def _selector(self, metric: str) -> frozenset[str]:
        if metric not in self._metrics:
            raise PromqlError(f"no metric {metric}")
        labels = self._metrics[metric]
        if self._peek() == "{":
            self._take()
            while self._peek() != "}":
                name, operator, value = self._take(), self._take(), self._take()[1:-1]
                self._within((name,), frozenset(labels) | BY_PROMETHEUS)
                seen = labels.get(name, {value})
                if operator == "=" and value not in seen:
                    raise PromqlError(f"{metric}: no {name} is {value!r}")
                if operator == "=~" and not any(re.fullmatch(value, it) for it in seen):
                    raise PromqlError(f"{metric}: no {name} matches {value!r}")
                if self._peek() == ",":
                    self._take()
            self._take("}")
        return frozenset(labels) | BY_PROMETHEUS

    def _names(self) -> tuple[str, ...]:
        self._take("(")
        names = []
        while self._peek() != ")":
            names.append(self._take())
            if self._peek() == ",":
                self._take()
        self._take(")")
        return tuple(names)

    @staticmethod
    def _within(names: Iterable[str], labels: Iterable[str]) -> None:
        known = set(labels)
        for name in names:
            if name not in known:
                raise PromqlError(f"no label {name} among {', '.join(sorted(known)) or 'none'}")
