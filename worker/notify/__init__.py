"""Notifications: who is notified of what, and when."""
