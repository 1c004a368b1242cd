"""One numbered matrix that every exchange passes: its adapter against its simulator.

`python -m tests.conformance` prints it as a table. No server and no worker is started: a
command is signed, the simulator judges the bytes, and its reply is read.
"""
