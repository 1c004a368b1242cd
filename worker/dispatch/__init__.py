"""Claim due jobs, attempt them, and record what follows."""
