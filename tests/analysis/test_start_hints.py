"""What reason and log lines of a failed start say about its remedy."""

import pytest

from control_plane.analysis.start_hints import start_hints

PYTHON = "/srv/env/bin/python"


@pytest.mark.parametrize(
    ("reason", "line", "words"),
    [
        (
            "start: target ended before it was ready, exit code 1",
            "/srv/env/bin/python: No module named uvicorn",
            "/srv/env/bin/python -m pip install uvicorn",
        ),
        (
            "start: x",
            "ModuleNotFoundError: No module named 'shop.db'",
            "or correct the import, directory",
        ),
        ("start: x", "ModuleNotFoundError: No module named 'uvicorn_worker'", "uvicorn-worker"),
        ("start: x", 'ERROR: Error loading ASGI app. Could not import module "shop".', "module sh"),
        (
            "start: x",
            'ERROR: Error loading ASGI app. Attribute "ap" not found in module "shop".',
            "The module has no ap",
        ),
        ("start: x", "TypeError: 'list' object is not callable", "factory = true"),
        ("start: x", "TypeError: make() takes 0 positional arguments but 3 were given", "factory"),
        (
            "start: x",
            "TypeError: Flask.__call__() missing 1 required positional argument: 'start_response'",
            "choose waitress",
        ),
        (
            "start: x",
            "TypeError: FastAPI.__call__() missing 1 required positional argument: 'send'",
            "such as uvicorn",
        ),
        (
            "start: x",
            "ImportError: attempted relative import with no known parent package",
            "the folder above the package",
        ),
        (
            "start: target ended before it was ready, exit code 0",
            "daemonized",
            "stay in the foreground",
        ),
        ("start: x", "KeyError: 'DATABASE_URL'", "variable DATABASE_URL: add it"),
        ("start: x", "ImproperlyConfigured: Set the KEY_1 environment variable", "variable KEY_1:"),
        (
            "start: x",
            "decouple.UndefinedValueError: DSN not found. Declare it",
            "variable DSN: add",
        ),
        (
            "start: x",
            "KeyError: \"Config 'DEBUG' is missing, and has no default.\"",
            "variable DEBUG",
        ),
        ("start: x", 'EnvError: Environment variable "PORT_2" not set', "variable PORT_2: add"),
        ("start: x", "serve: No such file or directory", "The program serve is not there"),
        (
            "start: x",
            "OSError: [Errno 98] Address already in use",
            "host and port that it is given",
        ),
        ("start: x", "Error: No such option '--lop'. (Did", "not know --lop:"),
        (
            "start: x",
            "ConnectionRefusedError: [Errno 111] Connect call failed",
            "a service that it",
        ),
        (
            "start: x",
            "Invalid HTTP_HOST header: 'localhost:80'. You may need to add 'localhost'",
            "set host to one",
        ),
        (
            "start: x",
            "pydantic ValidationError: 2 validation errors for Settings",
            "Settings lacks",
        ),
        (
            "start: x",
            "You must either define the environment variable DJANGO_SETTINGS_MODULE or call",
            "add DJANGO_SETTINGS_MODULE=",
        ),
        ("start: target speaks HTTP/2 alone, HTTP/1.1 is what is measured", "", "take HTTP/1.1"),
        ("start timeout: …, 1 of 4 workers accept connections", "", "Only 1 of 4 workers"),
        (
            "start timeout: …, nothing listens on 127.0.0.2:80, it listens on unix socket a.sock",
            "",
            "It listens on a unix socket a.sock",
        ),
        ("start timeout: x, the last answer to GET /up was 503", "", "name another ready_path"),
        ("start timeout: not ready after 15 s, no answer to GET /", "", "name a ready_path that"),
        ("start timeout: …, nothing listens on 127.0.0.2:80", "", "host and port that it is given"),
    ],
)
def test_the_remedy_is_read_from_what_was_said(reason: str, line: str, words: str) -> None:
    hints = start_hints(reason, ["INFO: before", line, "INFO: after"], PYTHON)
    assert any(words in hint for hint in hints), hints


def test_a_missing_module_is_told_with_the_line_that_imports_it() -> None:
    log = [
        "Traceback (most recent call last):",
        '  File "/srv/shop/main.py", line 3, in <module>',
        "    import nothing_here",
        "ModuleNotFoundError: No module named 'nothing_here'",
    ]
    (hint,) = start_hints("start: x", log, PYTHON)
    assert "It is imported in /srv/shop/main.py, line 3." in hint
    assert "pip install" not in hint
    assert "set directory to" not in hint


def test_a_package_that_is_asked_for_from_inside_is_told_with_its_folder() -> None:
    log = ['  File "/srv/src/acme/web.py", line 1, in <module>', "No module named 'acme'"]
    (hint,) = start_hints("start: x", log, PYTHON)
    assert "If it is the one in /srv/src, set directory to that" in hint


def test_what_the_server_imports_by_name_is_told_without_a_line() -> None:
    log = ['  File "/usr/lib/importlib/__init__.py", line 126, in x', "No module named 'acme'"]
    (hint,) = start_hints("start: x", log, PYTHON)
    assert "importlib" not in hint


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert start_hints("start: target ended, exit code 3", ["{braces} %s", "x" * 10_000], "") == ()
    assert start_hints("client died", ["No module named 'x'"], "") == ()
