"""When the next ferry leaves."""

from timetable.clock import format_time, parse_time


class Departures:
    def __init__(self, times):
        self.minutes = sorted(parse_time(time) for time in times)

    def next_after(self, time):
        """The first departure at or after the time; after the last one it is tomorrow's first."""
        now = parse_time(time)
        for minutes in self.minutes:
            if minutes >= now:
                return format_time(minutes)
        return format_time(self.minutes[0])

    def arrival(self, time, crossing):
        """When the next ferry arrives; the crossing is given in minutes."""
        return format_time(parse_time(self.next_after(time)) + crossing)

    def __str__(self):
        return " ".join(format_time(minutes) for minutes in self.minutes)
