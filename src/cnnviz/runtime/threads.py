"""Threads for kernels that release the interpreter's lock."""

from __future__ import annotations

import concurrent.futures
import functools
import os
from collections.abc import Callable
from typing import Any

__all__ = ["count", "over"]


def count() -> int:
    """How many threads: ``OMP_NUM_THREADS`` where it is set, else one a core."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() and int(given) else os.cpu_count() or 1


_pool = functools.lru_cache(maxsize=1)(concurrent.futures.ThreadPoolExecutor)


def over(items: int, work: Callable[..., Any]) -> None:
    """Call ``work(first, end)`` on parts of ``range(items)``, one a thread.

    Every item is worked on by itself, or results would depend on the threads.

    Parameters
    ----------
    items : int
    work : function of two int
        Writes its results where they belong.
    """
    threads = count()
    if threads == 1:
        work(0, items)
        return
    ends = [items * k // threads for k in range(threads + 1)]
    for each in [_pool(threads).submit(work, *part) for part in zip(ends, ends[1:])]:
        each.result()
