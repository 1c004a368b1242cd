"""Faults against the whole program, and a checker that decides from the history alone.

Workload, nemesis, recorder, checker: producers and strategies use the program,
a nemesis breaks its parts, everything that was answered and everything that the
exchanges saw is recorded, and pure functions decide whether the two agree.
Run it for long with `uv run python -m tests.chaos --minutes 20 --seed 1`.
"""
