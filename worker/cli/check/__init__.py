"""`check`: find problems in settings, secrets, Redis and clocks."""
