"""Dead man's switches for strategies of other frameworks; each module imports only its own."""
