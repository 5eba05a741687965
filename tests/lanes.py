"""The suite in several lanes: processes that are forked once all tests are collected.

Each worker of pytest-xdist would import the product and collect all tests anew, a seventh of what
the whole suite takes of the processor. A file stays whole, in one lane.
"""

import os
from collections.abc import Iterator
from itertools import groupby
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

import pytest
from _pytest.capture import CaptureManager
from _pytest.terminal import TerminalReporter

NUMBER = 4
"""The bytes of the number of a file: a pipe gives them to one reader as they were written."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lanes", type=int, default=1, help="processes that share the files out")


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the tests in lanes; None, for pytest to do it, where one is asked for or nothing is run."""
    options = session.config.option
    if options.lanes < 2 or options.collectonly or session.testsfailed:
        return None
    files = [list(items) for _, items in groupby(session.items, lambda item: item.path)]
    reading, writing = os.pipe()
    os.write(writing, b"".join(number.to_bytes(NUMBER) for number in range(len(files))))
    os.close(writing)
    terminal = plugin(session, "terminalreporter", TerminalReporter)
    terminal.showfspath = False
    lanes: dict[Connection, str] = {}
    for number in range(options.lanes):
        receiving, sending = get_context("fork").Pipe(duplex=False)
        arguments = (session, number, files, reading, sending)
        get_context("fork").Process(target=run_lane, args=arguments).start()
        sending.close()
        lanes[receiving] = ""
    while lanes:
        for lane in wait(list(lanes)):
            hear(session, lanes, lane)
        if session.shouldfail or session.shouldstop:
            os.read(reading, NUMBER * len(files))
    os.close(reading)
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    return True


def plugin[Plugin](session: pytest.Session, name: str, kind: type[Plugin]) -> Plugin:
    found = session.config.pluginmanager.get_plugin(name)
    assert isinstance(found, kind)
    return found
