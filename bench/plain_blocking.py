"""requests, one session, one request after the other.

`python bench/plain_blocking.py URL COUNT` prints the seconds that the requests took.
"""

import random
import sys
import time

import requests


def main(url: str, count: int) -> float:
    with requests.Session() as session:
        began = time.perf_counter()
        for _ in range(count):
            assert session.get(f"{url}/items/{random.randint(1, 24_999)}").content
        return time.perf_counter() - began


if __name__ == "__main__":
    print(main(sys.argv[1], int(sys.argv[2])))
