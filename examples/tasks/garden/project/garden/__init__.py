"""Says which plants want water, and when."""
