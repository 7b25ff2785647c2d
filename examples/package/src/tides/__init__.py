"""When the water is high."""

from tabulate import tabulate

LUNAR_HALF_DAY = 12.42  # hours


def high_waters(first, days=1):
    """Return the hours of high water after the hour *first*, for so many days."""
    count = int(24 * days / LUNAR_HALF_DAY) + 1
    return [round(first + n * LUNAR_HALF_DAY, 2) for n in range(count)]


def main():
    """Print today's, if the first is at three."""
    print(tabulate([[hour] for hour in high_waters(3)], headers=["high water"]))
