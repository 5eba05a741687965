"""`python -m target_app`: the application alone, served by uvicorn."""

import argparse

import uvicorn


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m target_app", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8300, help="port, 0 for any (%(default)s)")
    given = parser.parse_args()
    uvicorn.run("target_app.main:app", host=given.host, port=given.port)


if __name__ == "__main__":
    main()
