"""Departures of a small ferry line, and when its office is open."""
