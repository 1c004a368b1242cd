"""Which changes are made: mutmut's, without those of words for people, and whole conditions."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst
from mutmut.mutation import mutators


def adapt() -> None:
    """Replace mutmut's list of changes by ours, in this process and its children."""
    kept = [each for each in mutators.mutation_operators if each[1] is not mutators.operator_string]
    mutators.mutation_operators[:] = [
        *kept,
        (cst.SimpleString, _string),
        (cst.If, _condition),
        (cst.MatchCase, _guard),
        (cst.BooleanOperation, _operand),
    ]


def _string(node: cst.SimpleString) -> Iterator[cst.SimpleString]:
    """Change what programs compare; a text with a space is for people."""
    text = node.evaluated_value
    if isinstance(text, str) and " " not in text and not node.quote.startswith(('"""', "'''")):
        yield cst.SimpleString(repr(text + "XX"))


def _condition(node: cst.If) -> Iterator[cst.If]:
    for value in ("True", "False"):
        yield node.with_changes(
            test=cst.Name(value), whitespace_before_test=cst.SimpleWhitespace(" ")
        )


def _guard(node: cst.MatchCase) -> Iterator[cst.MatchCase]:
    if node.guard is not None:
        for value in ("True", "False"):
            yield node.with_changes(guard=cst.Name(value))


def _operand(node: cst.BooleanOperation) -> Iterator[cst.BaseExpression]:
    parentheses = {"lpar": [cst.LeftParen()], "rpar": [cst.RightParen()]}
    for operand in (node.left, node.right):
        yield operand if operand.lpar else operand.with_changes(**parentheses)
