"""Hostile input: one target a file, one command for all of them.

`uv run python -m tests.fuzz TARGET --runs N --seed S`; with `--group fuzz`
before `python` what is mutated next follows from the code that was reached.
"""
