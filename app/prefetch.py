"""Working ahead: the one helper that lets decoding, inference and encoding overlap."""

import queue
import threading


def prefetch(iterable, depth):
    """Yield the items of `iterable`, which a thread draws up to `depth` items ahead.

    An error in it is raised here, with its own traceback, after the items before it. When the consumer stops (break, error, close) the thread stops
    after the item it is at, closes the iterator where that is a generator, and has ended when this generator has.
    """
    items, stop = queue.Queue(max(1, depth)), threading.Event()
    thread = threading.Thread(target=_draw, args=(iterable, items, stop), name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = items.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        stop.set()
        while thread.is_alive():
            _empty(items)
            thread.join(0.01)


def _draw(iterable, items, stop):
    iterator = iter(iterable)
    try:
        for value in iterator:
            items.put(("item", value))
            if stop.is_set():
                return
        last = ("end", None)
    except BaseException as error:
        last = ("error", error)
    finally:
        if hasattr(iterator, "close"):
            iterator.close()
    items.put(last)


def _empty(items):
    """Make room, so that a thread that waits to put its item can see that it is to stop."""
    try:
        while True:
            items.get_nowait()
    except queue.Empty:
        pass
