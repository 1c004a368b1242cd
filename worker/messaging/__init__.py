"""Celery: its consumer, beat, messages and task events."""
