"""Send signed requests to exchanges."""
