"""The reader of PromQL by which rules and dashboards are judged."""

from __future__ import annotations

import pytest

from tests.support.promql import Exported, PromqlError

SCRAPE = """\
# TYPE a gauge
a{x="1",y="2"} 3
# TYPE b gauge
b{x="1",y="2"} 3
# TYPE n counter
n_total{kind="crash"} 0
# TYPE h histogram
h_bucket{x="1",le="1.0"} 0
h_bucket{x="1",le="+Inf"} 0
h_count{x="1"} 0
h_sum{x="1"} 0
"""


@pytest.mark.parametrize(
    ("expression", "labels"),
    [
        ("a", {"x", "y", "job", "instance"}),
        ("max(a)", set()),
        ("max by (x) (a) > 5", {"x"}),
        ("max(a) by (x)", {"x"}),
        ("sum without (x, job, instance) (a)", {"y"}),
        ('sum by (kind) (increase(n_total{kind="crash"}[5m])) > 0', {"kind"}),
        ("max by (x) (a{x=~'.*'} / b) >= 1", {"x"}),
        ("histogram_quantile(0.99, sum by (le, x) (rate(h_bucket[5m])))", {"x"}),
        ("max(a) > 15 or (absent(a) and on () max(b) == 1)", set()),
        ('up{job="any"} == 0', {"job", "instance"}),
        ("-a offset 5m", {"x", "y", "job", "instance"}),
    ],
)
def test_what_is_exported_may_be_asked_for(expression: str, labels: set[str]) -> None:
    """And the labels of the result are known."""
    assert Exported.read(SCRAPE).judge(expression) == labels


@pytest.mark.parametrize(
    "expression",
    [
        "aa",
        "max by (z) (a)",
        "sum without (z) (a)",
        'a{z="1"}',
        'a{x="2"}',
        'a{x=~"2.*"}',
        'n_total{kind="crush"}',
        "max by (y) (max by (x) (a))",
        "histogram_quantile(0.99, sum by (x) (rate(h_bucket[5m])))",
        "rate(a[5m])",
        "increase(n[5m])",
        "max(a",
        "a b",
        "a ? b",
        "nosuch(a)",
        "",
    ],
)
def test_what_is_not_is_found(expression: str) -> None:
    """A wrong name of a metric, label, value or function, and what is no PromQL."""
    with pytest.raises(PromqlError):
        Exported.read(SCRAPE).judge(expression)
