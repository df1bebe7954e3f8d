"""Signals that are acted upon, whichever thread they arrive in."""

from __future__ import annotations

import signal
import socket
import threading
import time

# Does nothing but to wake the main thread, and nothing where nobody handles it.
WAKE = signal.SIGURG
ATTEMPTS = 5
PAUSE = 0.05


def wake_main_thread() -> None:
    """Wake the main thread, which calls this, whenever a signal comes.

    Python runs the handlers of signals in the main thread only. The kernel gives a signal to any
    thread, and a main thread that waits for something does not notice: without this, a process
    of many threads that is told to stop may go on for as long as its main thread sleeps.
    """
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    signal.signal(WAKE, lambda *_: None)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    threading.Thread(
        target=_watch,
        args=(receiver, sender, threading.get_ident()),
        name="signals",
        daemon=True,
    ).start()


def _watch(receiver: socket.socket, sender: socket.socket, main_thread: int) -> None:
    del sender  # the argument keeps it open
    while numbers := receiver.recv(1):
        if numbers[0] == WAKE:
            continue
        # More than once: it may have been about to wait.
        for _ in range(ATTEMPTS):
            signal.pthread_kill(main_thread, WAKE)
            time.sleep(PAUSE)
