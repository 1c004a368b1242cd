"""`check`: whether settings, secrets, Redis and clocks are fit for work."""
