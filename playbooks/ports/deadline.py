"""A whole conversation ends in time, also with a peer that sends a byte now and then."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Timer


@contextmanager
def deadline(seconds: float, current: Callable[[], socket.socket | None]) -> Iterator[None]:
    """Cut the connection when the time is over: whoever reads from it then gets an error.

    Time-outs of sockets hold for one read each. `current` returns the socket as it is then.
    """

    def cut() -> None:
        connection = current()
        if connection is not None:
            with suppress(OSError):  # the plain method: the other thread still uses the TLS object
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
