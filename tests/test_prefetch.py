"""The read-ahead helper: order, errors, and no thread left behind."""

import threading
import time

import pytest

from app.prefetch import prefetch


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_passes_everything_on_in_order():
    assert list(prefetch(range(100), 3)) == list(range(100))
    assert list(prefetch([], 3)) == []
    assert list(prefetch([None, None], 1)) == [None, None]
    assert not threads()


def test_works_ahead_but_no_further_than_asked():
    drawn = []
    ahead = prefetch((drawn.append(k) or k for k in range(100)), 4)
    assert next(ahead) == 0
    time.sleep(0.2)
    assert 4 <= len(drawn) <= 6  # handed out, four waiting, one in hand
    ahead.close()
    assert not threads()


def test_an_error_comes_after_the_items_before_it():
    def breaks():
        yield 1
        yield 2
        raise ValueError("third")

    seen = []
    with pytest.raises(ValueError, match="third"):
        seen.extend(prefetch(breaks(), 8))
    ahead = prefetch(breaks(), 8)
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(ValueError, match="third"):
        next(ahead)
    assert not threads()


@pytest.mark.parametrize("depth", [1, 5])
def test_stops_with_its_consumer(depth):
    closed = []

    def endless():
        try:
            while True:
                yield bytes(1000)
        finally:
            closed.append(threading.current_thread().name)

    ahead = prefetch(endless(), depth)
    with pytest.raises(RuntimeError):  # noqa: PT012 - the loop is what is tested
        for _ in ahead:
            raise RuntimeError
    ahead.close()
    assert not threads()
    assert closed == ["prefetch"]  # the source is closed by the thread that used it


def test_stops_when_it_is_dropped():
    ahead = prefetch(iter(int, 1), 2)
    next(ahead)
    del ahead
    assert not threads()


def test_never_started_is_no_thread():
    prefetch(iter(int, 1), 2).close()
    assert not threads()
