"""The suite in several lanes: processes that are forked once all tests are collected.

Each worker of pytest-xdist would import the product and collect all tests anew. A file stays whole,
in one lane; `-x` lets every lane end the file that it is in.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path

import pytest
from _pytest.capture import CaptureManager
from _pytest.terminal import TerminalReporter

FORK = get_context("fork")
NUMBER = 4
"""The bytes of the number of a file: as many as one read takes, and no other lane gets a part."""
File = Sequence[pytest.Item]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lanes", type=int, default=1, help="processes that share the files out")


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the tests in lanes; None where pytest does it: nothing is run, or in this process."""
    options = session.config.option
    if options.lanes < 2 or options.collectonly or session.testsfailed:
        return None
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    assert isinstance(terminal, TerminalReporter)
    # As with pytest-xdist: no name of a file before the dots of several.
    terminal.showfspath = False
    files = [list(items) for _, items in groupby(session.items, lambda item: item.path)]
    reading, writing = os.pipe()
    os.write(writing, b"".join(number.to_bytes(NUMBER, "big") for number in range(len(files))))
    os.close(writing)
    lanes: dict[Connection, str] = {}
    for number in range(options.lanes):
        receiving, sending = FORK.Pipe(duplex=False)
        lanes[receiving] = ""
        FORK.Process(
            target=_run, args=(session, f"lane{number}", _queue(files, reading), sending, [*lanes])
        ).start()
        sending.close()
    try:
        while lanes:
            for lane in wait(list(lanes)):
                assert isinstance(lane, Connection)
                _hear(session, lanes, lane)
            if session.shouldfail or session.shouldstop:
                os.read(reading, NUMBER * len(files))
    finally:
        # Where something went wrong lanes are left: each ends when it has nobody to tell.
        for lane in lanes:
            lane.close()
        os.close(reading)
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    return True


def _queue(files: Sequence[File], reading: int) -> Iterator[pytest.Item]:
    """The tests of the next file that no lane has begun, until there is none."""
    while number := os.read(reading, NUMBER):
        yield from files[int.from_bytes(number, "big")]


def _hear(session: pytest.Session, lanes: dict[Connection, str], lane: Connection) -> None:
    """Take the id of a test that begins, a report, or the end of a lane, which may be too early."""
    hook = session.config.hook
    try:
        message = lane.recv()
    except EOFError:
        if begun := lanes.pop(lane):
            place = (begun.partition("::")[0], None, begun)
            found = pytest.TestReport(begun, place, {}, "failed", "Its lane ended.", "call")
            hook.pytest_runtest_logreport(report=found)
        return
    if isinstance(message, str):
        lanes[lane] = message
        return
    report = hook.pytest_report_from_serializable(config=session.config, data=message)
    hook.pytest_runtest_logreport(report=report)
    if report.when == "teardown":
        hook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)


class _Reporter(TerminalReporter):  # type: ignore[misc] # final, and asked for by its class
    """Hands each report of a lane over, and writes nothing."""

    def __init__(self, config: pytest.Config, sending: Connection) -> None:
        super().__init__(config, Path(os.devnull).open("w"))  # noqa: SIM115 - as long as the lane
        self.sending = sending

    def pytest_runtest_logstart(self, nodeid: str) -> None:  # type: ignore[override]
        self.sending.send(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        hook = self.config.hook
        self.sending.send(hook.pytest_report_to_serializable(config=self.config, report=report))

    def pytest_runtest_logfinish(self) -> None:
        self.sending.send("")


def _run(
    session: pytest.Session,
    name: str,
    queue: Iterator[pytest.Item],
    sending: Connection,
    others: Sequence[Connection],
) -> None:
    """Run tests of the queue in this process, which is a lane."""
    for receiving in others:
        receiving.close()
    config = session.config
    capture = config.pluginmanager.get_plugin("capturemanager")
    assert isinstance(capture, CaptureManager)
    # What is printed goes to files that this process would share with the other lanes.
    capture.stop_global_capturing()
    capture.start_global_capturing()
    config.pluginmanager.unregister(name="terminalreporter")
    config.pluginmanager.register(_Reporter(config, sending), "terminalreporter")
    factory: pytest.TempPathFactory = config._tmp_path_factory  # type: ignore[attr-defined] # noqa: SLF001
    factory._basetemp = factory.mktemp(name, numbered=False)  # noqa: SLF001 - folders of its own
    item = next(queue, None)
    while item:
        following = next(queue, None)
        config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        item = following
