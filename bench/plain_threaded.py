"""requests in a ThreadPoolExecutor, a session for each thread.

`python bench/plain_threaded.py URL COUNT THREADS` prints the seconds that the requests took.
"""

import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests

here = threading.local()


def fetch(url: str) -> None:
    if not hasattr(here, "session"):
        here.session = requests.Session()
    assert here.session.get(f"{url}/items/{random.randint(1, 24_999)}").content


def main(url: str, count: int, threads: int) -> float:
    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        for _ in pool.map(fetch, [url] * count):
            pass
        return time.perf_counter() - began


if __name__ == "__main__":
    print(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
