"""What is seen from outside: alerts, logs, metrics, health."""
