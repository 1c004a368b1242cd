"""`up`: run workers, beat and Redis on one machine, under one supervisor."""
