"""`up`: one machine for real, under one supervisor."""
