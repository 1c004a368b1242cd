"""Exhaustive search over small histories of the real Lua scripts.

A few actors (two workers, one strategy) with a few steps each run against one
Redis on stepped time. Every interleaving is visited, and with each call every
fate: it answers, it runs but its answer is lost, it runs late, or it never
runs. States that look the same in Redis and to all actors are visited once.

`python -m tests.explore --model jobs --steps 5` runs one search and prints a
counterexample as a schedule; `tests/integration/test_explore.py` runs small
scopes in the suite.
"""
