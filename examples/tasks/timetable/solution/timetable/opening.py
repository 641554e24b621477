"""The opening hours of the office."""

from timetable.clock import format_time, parse_time


class Opening:
    """Hours such as `09:00-12:30`."""

    def __init__(self, text):
        first, dash, last = text.partition("-")
        if not dash:
            raise ValueError(f"not opening hours: {text!r}")
        self.first, self.last = parse_time(first), parse_time(last)
        if self.first >= self.last:
            raise ValueError(f"closes before it opens: {text!r}")

    def is_open(self, clock):
        return self.first <= parse_time(clock) < self.last

    def left(self, clock):
        """How long the office is still open, as HH:MM; 00:00 when it is closed."""
        if not self.is_open(clock):
            return format_time(0)
        return format_time(self.last - parse_time(clock))

    def __str__(self):
        return f"{format_time(self.first)}-{format_time(self.last)}"
