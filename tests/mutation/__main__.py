import sys
from mutmut.__main__ import cli
from tests.mutation.changes import adapt

adapt()
cli(["run", "--max-children", "1", *sys.argv[1:]], standalone_mode=False)
