"""Observability: alerts, logs, metrics, Sentry, health."""
