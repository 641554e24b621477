"""The opening hours of the office."""


def parse_clock(clock):
    hours, colon, minutes = clock.strip().partition(":")
    if not colon or not hours.isdigit() or not minutes.isdigit() or len(minutes) != 2:
        raise ValueError(f"not a time: {clock!r}")
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError(f"not a time: {clock!r}")
    return int(hours) * 60 + int(minutes)


def clock_text(total):
    total %= 24 * 60
    return f"{total // 60:02d}:{total % 60:02d}"


class Opening:
    """Hours such as `09:00-12:30`."""

    def __init__(self, text):
        first, dash, last = text.partition("-")
        if not dash:
            raise ValueError(f"not opening hours: {text!r}")
        self.first, self.last = parse_clock(first), parse_clock(last)
        if self.first >= self.last:
            raise ValueError(f"closes before it opens: {text!r}")

    def is_open(self, clock):
        return self.first <= parse_clock(clock) < self.last

    def left(self, clock):
        """How long the office is still open, as HH:MM; 00:00 when it is closed."""
        if not self.is_open(clock):
            return clock_text(0)
        return clock_text(self.last - parse_clock(clock))

    def __str__(self):
        return f"{clock_text(self.first)}-{clock_text(self.last)}"
