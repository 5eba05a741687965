"""The two limits that several rooms judge by."""

LATE_S = 0.1
"""An event loop that is later stood still. asyncio's own debug mode calls a step slow from here on
(`loop.slow_callback_duration`).
"""

BUSY_SHARE = 0.85
"""From this share of what it can get on, a processor is the limit. The wait for a server grows as
1 / (1 - load): at 85 % a request takes over six times its own time (M/M/1; L. Kleinrock, Queueing
Systems, 1975).
"""
