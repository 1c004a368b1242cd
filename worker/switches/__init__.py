"""Bring the exchanges' timers in line with the switches."""
