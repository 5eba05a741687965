from control_plane.load.connections import Connections
from control_plane.load.strategies.raw_answer import Answer
from control_plane.load.strategies.raw_line import Line


class Nobody:
    def answered(self, answer: Answer) -> None:
        raise AssertionError(answer)

    def failed(self, kind: str, received: int = 0) -> None:
        raise AssertionError(kind, received)


def test_nothing_is_asked_on_a_line_that_its_server_ended() -> None:
    """The transport closes it in a later round of the loop; a timer may ring before that."""
    line = Line(Nobody(), Answer({}, 100), Connections())
    line.open = True
    line.eof_received()
    assert not line.open
