"""Settings: the file, the environment, accounts and files that hold secrets."""
