"""Import one exchange of ccxt, and nothing else of it.

`import ccxt` imports every exchange. Here an empty package takes its place, so that a
process pays for the exchanges of its accounts alone, and once.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any, Final

from worker.errors import ExtraMissing
from worker.extras import needing

PACKAGE: Final = "ccxt"
VERSION: Final = "4.5.90"
"""The one version that the table of ids, the profiles and the tests were made with."""


def exchange_class(exchange_id: str) -> Any:  # noqa: ANN401  ccxt has no types of its own
    """Return ccxt's class of an exchange.

    Raises:
        ExtraMissing: ccxt is not installed, or in another version.
    """
    with needing(f"exchange {PACKAGE}:{exchange_id}"):
        _stand_in()
        installed = importlib.import_module(f"{PACKAGE}.base.exchange").__version__
        if installed != VERSION:
            raise ExtraMissing(
                f"exchange {PACKAGE}:{exchange_id} needs {PACKAGE} {VERSION}, and {installed} is "
                f"installed; install it: pip install 'cancel-worker[{PACKAGE}]'"
            )
        module = importlib.import_module(f"{PACKAGE}.{exchange_id}")
    return getattr(module, exchange_id)


def error_class(name: str) -> type[Exception]:
    """Return one of ccxt's errors, once an exchange has been imported."""
    found: type[Exception] = getattr(importlib.import_module(f"{PACKAGE}.base.errors"), name)
    return found


def _stand_in() -> None:
    """Put a package without content where ccxt's own would import every exchange.

    A program that has imported ccxt keeps it.
    """
    if PACKAGE in sys.modules:
        return
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {PACKAGE!r}", name=PACKAGE)
    module = ModuleType(PACKAGE, "One exchange at a time.")
    module.__path__ = list(spec.submodule_search_locations or ())
    module.__spec__ = spec
    sys.modules[PACKAGE] = module
