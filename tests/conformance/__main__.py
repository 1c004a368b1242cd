"""`python -m tests.conformance`: print the matrix."""

import sys

from tests.conformance.table import table

sys.stdout.write(table())
