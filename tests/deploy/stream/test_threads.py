"""One stream fed by several threads predicts the same as one fed by a single thread."""

import sys
import threading
from collections.abc import Callable, Generator

import pytest

from edgehar import StreamRecognizer
from edgehar.deploy.recognizer import Recognizer
from edgehar.signals.clip import Prediction
from tests.deploy.streams import Recording, assert_same, sample_by_sample, steady, streamed


@pytest.fixture
def frequent_switches() -> Generator[None, None, None]:
    """Threads take turns every microsecond instead of every 5 ms."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval_s)


def in_threads(functions: list[Callable[[], None]]) -> None:
    """Run functions side by side; raises the first exception of one of them."""
    errors: list[BaseException] = []
    ready = threading.Barrier(len(functions))

    def run(function: Callable[[], None]) -> None:
        ready.wait()
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error


def feeder(stream: StreamRecognizer, recording: Recording, name: str, found: list[Prediction]) -> Callable[[], None]:
    """A thread's function: pushes the samples of one sensor and reads the counts."""

    def feed() -> None:
        for index in range(len(recording.times_s[name])):
            rows = slice(index, index + 1)
            found.extend(stream.push(name, recording.signals[name][rows], recording.times_s[name][rows]))
            assert stream.counts[name].received > 0
            assert stream.lost[name] == 0

    return feed


@pytest.mark.usefixtures("frequent_switches")
def test_one_stream_from_several_threads_equals_one_thread(recognizer: Recognizer) -> None:
    recording = steady(12.0)
    expected = streamed(StreamRecognizer(recognizer, start_s=0.0), sample_by_sample(recording))
    assert len(expected) > 60
    for _ in range(3):
        stream = StreamRecognizer(recognizer, start_s=0.0, lateness_s=1e6)
        found: list[Prediction] = []
        in_threads([feeder(stream, recording, name, found) for name in recording.times_s])
        found += stream.flush()
        assert_same(sorted(found, key=lambda one: one.start_s), expected)
        assert {name: (one.received, one.unused) for name, one in stream.counts.items()} == {
            name: (len(times), 0) for name, times in recording.times_s.items()
        }


@pytest.mark.usefixtures("frequent_switches")
def test_flush_and_reset_beside_pushes(recognizer: Recognizer) -> None:
    recording = steady(3.0)
    stream = StreamRecognizer(recognizer)
    ended = threading.Event()

    def feed() -> None:
        for push in sample_by_sample(recording) * 2:
            stream.push(*push)
        ended.set()

    def end() -> None:
        while not ended.is_set():
            stream.flush()
            stream.reset()

    in_threads([feed, end])
    assert sum(one.received for one in stream.counts.values()) == 2 * len(sample_by_sample(recording))
    stream.reset()
    assert_same(
        streamed(stream, sample_by_sample(recording)), recognizer.predict_windows(recording.signals, recording.times_s)
    )
