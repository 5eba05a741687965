"""The script that most people write first: aiohttp, every request a task, all gathered.

`python bench/plain_gather.py URL COUNT` prints the seconds that the requests took.
"""

import asyncio
import random
import sys
import time

import aiohttp


async def main(url: str, count: int) -> float:
    async with aiohttp.ClientSession() as session:

        async def fetch() -> None:
            async with session.get(f"{url}/items/{random.randint(1, 24_999)}") as response:
                await response.read()

        began = time.perf_counter()
        await asyncio.gather(*[asyncio.create_task(fetch()) for _ in range(count)])
        return time.perf_counter() - began


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1], int(sys.argv[2]))))
