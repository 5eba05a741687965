from control_plane.load.outcome import failure, response_outcome
from control_plane.load.sample_buffer import SampleBuffer, Samples
from control_plane.load.worker_protocol import LoadTraits

GOOD, LATE = response_outcome(200, None, 0, 2), failure("timeout", 0)


def test_requests_in_flight_are_seen_with_their_start() -> None:
    buffer = SampleBuffer(LoadTraits(users=6, is_scheduled=True), lambda _: None)
    buffer.begin(4, 100, 150)
    buffer.begin(5, 100, 160)
    buffer.end(4, 200, GOOD)
    assert buffer.starts() == {5: 160}
    buffer.end(5, 300, GOOD, 300)
    assert buffer.starts() == {5: 300}


def test_what_ended_is_handed_over_once_and_in_bulk() -> None:
    counted: list[Samples] = []
    buffer = SampleBuffer(LoadTraits(users=1), counted.append)
    handed_over = []
    for end_ns in range(1, 10_001):
        buffer.begin(0, end_ns - 1, end_ns - 1)
        handed_over.append(buffer.end(0, end_ns, GOOD))
    assert sum(handed_over) == len(counted) == 2
    with buffer.lock:
        rest = buffer.hand_over()
        assert len(buffer.hand_over()) == 0
    assert counted[-1] is rest
    assert [end_ns for part in counted for end_ns in part.ends] == list(range(1, 10_001))


def test_while_samples_are_counted_nobody_waits() -> None:
    """Who fills the buffer meanwhile goes on; the next one hands over more."""
    counted: list[Samples] = []
    buffer = SampleBuffer(LoadTraits(users=1), counted.append)
    with buffer.lock:
        assert not any(buffer.end(0, end_ns, GOOD) for end_ns in range(1, 5_001))
    assert buffer.end(0, 5_001, GOOD)
    assert [len(samples) for samples in counted] == [5_001]


def test_a_first_byte_counts_for_its_own_request() -> None:
    counted: list[Samples] = []
    buffer = SampleBuffer(LoadTraits(users=3), counted.append)
    for user in range(3):
        buffer.begin(user, 100, 100)
    buffer.hear(0, 110)
    buffer.hear(2, 130)
    assert buffer.in_flight()[2].tolist() == [True, False, True]
    for user, ended in enumerate((GOOD, GOOD, LATE)):
        buffer.end(user, 200, ended)
    # It came after the deadline: nobody waits for it any more.
    buffer.hear(2, 210)
    buffer.begin(2, 300, 300)
    buffer.end(2, 400, LATE)
    with buffer.lock:
        samples = buffer.hand_over()
    assert sorted(samples.first_byte_times().tolist()) == [10, 30, 100]
    assert samples.begun_timeouts() == 1
    assert sorted(samples.completed().first_byte_times().tolist()) == [10, 100]
