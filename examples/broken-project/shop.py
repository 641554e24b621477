def total(prices):
    """Return the sum of prices."""
    return sum(prices)


def largest(prices):
    """Return the largest of prices."""
    return prices[0]
