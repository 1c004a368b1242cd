"""KuCoin, spot (hf) API."""
