"""`python -m target_app`: the application alone, served by uvicorn."""

import argparse
import json
import sys

import uvicorn


def main() -> None:
    """Serve the application, or print its OpenAPI document."""
    parser = argparse.ArgumentParser(prog="python -m target_app", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8300, help="port, 0 for any (%(default)s)")
    parser.add_argument(
        "--openapi", action="store_true", help="print the OpenAPI document and do not serve"
    )
    given = parser.parse_args()
    if given.openapi:
        write_document()
    else:
        uvicorn.run("target_app.main:app", host=given.host, port=given.port)


def write_document() -> None:
    """Print the OpenAPI document, for a program that has no server running."""
    from target_app.main import app

    json.dump(app.openapi(), sys.stdout)


if __name__ == "__main__":
    main()
