"""What workers share through Redis, kept by one process for its own threads alone."""
