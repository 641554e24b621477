"""When the next ferry leaves."""


def _to_minutes(text):
    hours, colon, minutes = text.strip().partition(":")
    if not colon or not hours.isdigit() or not minutes.isdigit() or len(minutes) != 2:
        raise ValueError(f"not a time: {text!r}")
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError(f"not a time: {text!r}")
    return int(hours) * 60 + int(minutes)


def _to_text(minutes):
    minutes %= 24 * 60
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


class Departures:
    def __init__(self, times):
        self.minutes = sorted(_to_minutes(time) for time in times)

    def next_after(self, time):
        """The first departure at or after the time; after the last one it is tomorrow's first."""
        now = _to_minutes(time)
        for minutes in self.minutes:
            if minutes >= now:
                return _to_text(minutes)
        return _to_text(self.minutes[0])

    def arrival(self, time, crossing):
        """When the next ferry arrives; the crossing is given in minutes."""
        return _to_text(_to_minutes(self.next_after(time)) + crossing)

    def __str__(self):
        return " ".join(_to_text(minutes) for minutes in self.minutes)
