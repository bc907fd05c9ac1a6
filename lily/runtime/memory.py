"""How Python's collector of cycles goes about its work in a process that lives long."""

import gc

BETWEEN = (20_000, 20, 20)  # by default (700, 10, 10), which is many walks a second here, each of which finds next to nothing


def settle() -> None:
    """To be called once all modules are loaded: what lives as long as the process is walked over no more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*BETWEEN)
