"""A neighbourhood's tools: who has which, and until when."""
