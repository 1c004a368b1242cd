"""Which modules are changed, and which tests are to notice."""

from __future__ import annotations

from collections.abc import Mapping

_EVERY_READER = (
    "unit/test_exchange_shared",
    "unit/test_exchange_near_misses",
    "unit/test_exchange_indodax",
    "unit/test_exchange_bitmart",
    "unit/test_exchange_everstrike",
    "unit/test_exchange_binance",
    "unit/test_exchange_okx",
    "unit/test_exchange_kraken",
)
_LIMITS = (
    "integration/test_limiter",
    "integration/test_limiter_model",
    "integration/test_limiter_failover",
    "integration/test_paced_limits",
    "integration/test_slot_pools",
)
_RETRIES = (
    "unit/test_retries",
    "unit/test_retry_budgets",
    "unit/test_retry_decisions",
    "unit/test_closed_orders",
)
TESTS: Mapping[str, tuple[str, ...]] = {
    "worker.policy.retries": (*_RETRIES, "unit/test_scopes", "unit/test_pair_names"),
    "worker.policy.scopes": ("unit/test_scopes", "unit/test_scope_checks", *_RETRIES),
    "worker.switches.plan": ("unit/test_switch_plan",),
    "worker.switches.one_list": ("unit/test_switch_one_list",),
    "worker.exchanges.checks": (
        *_EVERY_READER,
        "unit/test_scope_checks",
        "unit/test_command_checks",
        "unit/test_pair_names",
    ),
    "worker.policy.settling": ("unit/test_evidence", "unit/test_completion", *_RETRIES),
    "worker.policy.phases": (
        "unit/test_phases",
        "unit/test_scope_checks",
        "unit/test_holding",
        *_RETRIES,
    ),
    "worker.policy.timer_reads": ("unit/test_timer_reads",),
    "worker.policy.timers": ("unit/test_timers", "unit/test_holding"),
    "worker.policy.holding": ("unit/test_holding",),
    "worker.policy.pauses": ("unit/test_pauses",),
    "worker.policy.pair_proofs": ("unit/test_pair_names",),
    "worker.policy.batching": ("unit/test_batching",),
    "worker.policy.batch_sizing": ("unit/test_batch_sizing",),
    "worker.policy.retention": ("unit/test_retention",),
    "worker.dispatch.completion": ("unit/test_completion", "unit/test_evidence"),
    "worker.switches.failures": ("unit/test_switch_failures",),
    "worker.switches.refused_pairs": ("unit/test_refused_pairs",),
    "worker.exchanges.timer": ("unit/test_holding", "unit/test_timers", *_EVERY_READER),
    "worker.exchanges.replies": (*_EVERY_READER, "unit/test_open_rows"),
    "worker.exchanges.rows": (
        *_EVERY_READER,
        "unit/test_open_rows",
        "unit/test_whole_answers_okx",
        "unit/test_whole_answers_deribit",
    ),
    "worker.exchanges.indodax.replies": _EVERY_READER[:3],
    "worker.exchanges.bitmart.replies": (
        *_EVERY_READER[:2],
        "unit/test_exchange_bitmart",
        "unit/test_whole_answers_bitmart",
        "unit/test_pair_lists",
    ),
    "worker.exchanges.everstrike.replies": (*_EVERY_READER[:2], "unit/test_exchange_everstrike"),
    "worker.exchanges.binance.replies": (
        "unit/test_exchange_binance",
        "unit/test_whole_answers_binance",
    ),
    "worker.exchanges.okx.replies": (
        "unit/test_exchange_okx",
        "unit/test_exchange_okx_algos",
        "unit/test_whole_answers_okx",
        "unit/test_pair_lists",
    ),
    "worker.exchanges.okx.algos": ("unit/test_exchange_okx_algos",),
    "worker.exchanges.bybit.replies": (
        "unit/test_exchange_bybit",
        "unit/test_whole_answers_bybit",
        "unit/test_pair_names",
    ),
    "worker.exchanges.kraken.replies": (
        "unit/test_exchange_kraken",
        "unit/test_whole_answers_kraken",
        "unit/test_pair_lists",
    ),
    "worker.exchanges.indodax_v2.replies": (
        "unit/test_exchange_indodax_v2",
        "unit/test_whole_answers_indodax_v2",
    ),
    "worker.exchanges.kucoin.replies": (
        "unit/test_exchange_kucoin",
        "unit/test_whole_answers_kucoin",
        "unit/test_lists_kucoin",
        "unit/test_pair_lists",
    ),
    "worker.exchanges.kucoin.timer": ("unit/test_timer_kucoin",),
    "worker.exchanges.gate.replies": (
        "unit/test_exchange_gate",
        "unit/test_whole_answers_gate",
        "unit/test_more_answers_gate",
        "unit/test_pair_names",
    ),
    "worker.exchanges.gate.rows": (
        "unit/test_exchange_gate",
        "unit/test_whole_answers_gate",
        "unit/test_more_answers_gate",
    ),
    "worker.exchanges.deribit.replies": (
        "unit/test_exchange_deribit",
        "unit/test_whole_answers_deribit",
    ),
    "worker.exchanges.hyperliquid.replies": (
        "unit/test_exchange_hyperliquid",
        "unit/test_whole_answers_hyperliquid",
        "unit/test_pair_names",
    ),
    "worker.exchanges.ccxt.replies": (
        "unit/test_ccxt_answers",
        "unit/test_ccxt_profiled_answers",
        "unit/test_ccxt_profiles",
    ),
    "worker.exchanges.ccxt.evidence": ("unit/test_ccxt_evidence", "unit/test_ccxt_failures"),
    "worker.store.nonces": (
        "integration/test_nonces",
        "integration/test_nonce_units",
        "integration/test_claimed_nonces",
    ),
    "worker.direct.nonces": ("integration/test_nonces", "integration/test_nonce_units"),
    "worker.store.limiter": _LIMITS,
    "worker.direct.limiter": (*_LIMITS, "unit/test_memory_limits"),
}
"""Each module, with the files of tests that are named for it."""
LONG = (
    *("nearly_all_of_the_budget", "within_a_step", "at_even_steps", "no_window_holds_more"),
    *("any_jitter", "far_away", "does_not_know", "costs_little", "two_steps"),
    *("may_send_is_taken_for", "no_byte_of_a_request", "is_signed_for_the_address"),
    *("only_a_proof_ends", "spent_budgets_end", "attempt_is_one_that_can", "nothing_is_rounded"),
)
"""Parts of the names of tests that simulate minutes: what only they would notice survives."""


def path_of(module: str) -> str:
    """Return where a module is."""
    return f"{module.replace('.', '/')}.py"


def tests_of(module: str) -> tuple[str, ...]:
    """Return the paths of the files of tests that are named for a module."""
    return tuple(f"tests/{name}.py" for name in TESTS[module])
