"""HTTP to exchanges over requests, each wait bounded by a deadline."""
