"""The control page: templates and scripts on the HTTP API, behind a login."""
