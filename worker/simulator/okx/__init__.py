"""OKX, v5 API."""
