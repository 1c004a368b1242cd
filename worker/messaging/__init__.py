"""Celery integration: consumer, beat, messages and task events."""
