"""Other triggers for the same jobs, as a provider without ours would have them, and two that measure."""
