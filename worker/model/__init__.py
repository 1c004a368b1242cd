"""Plain data, shared by all above."""
