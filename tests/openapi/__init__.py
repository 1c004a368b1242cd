"""`python -m tests.openapi`: schemathesis against the HTTP API."""
