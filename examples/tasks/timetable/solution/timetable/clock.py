"""Times of day as minutes since midnight."""


def parse_time(text):
    hours, colon, minutes = text.strip().partition(":")
    if not colon or not hours.isdigit() or not minutes.isdigit() or len(minutes) != 2:
        raise ValueError(f"not a time: {text!r}")
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError(f"not a time: {text!r}")
    return int(hours) * 60 + int(minutes)


def format_time(minutes):
    minutes %= 24 * 60
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
