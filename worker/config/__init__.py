"""Settings: the settings file, environment variables, accounts, secret files."""
