"""Gives transactions to the kernel: small ones through libnftables in this process, large ones through a child.

A large one costs nft a hundred megabytes that this process would keep; a small one costs less than starting nft.
Everything is for the network namespace of the calling thread, and blocks.  What must stay true: one thread at a time,
since libnftables keeps state of its own and a generation tells whose transaction was the last.
"""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import threading
from functools import cache
from typing import Any

from nodeagent.services.monitor import generation

LARGE_BYTES = 100_000
_JSON = 1 << 4
_SECONDS = 120
_one_at_a_time = threading.RLock()


class FirewallError(Exception):
    """The transaction was refused as a whole; the text is nft's own."""


@cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError:
        return None
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
    for name in ("nft_ctx_free", "nft_ctx_buffer_error", "nft_ctx_buffer_output", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    library.nft_ctx_get_output_buffer.argtypes = [ctypes.c_void_p]
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    return library


def apply_as_own(text: str) -> int:
    """One transaction, and its generation; 0 when somebody else was at it too.  Raises FirewallError."""
    with _one_at_a_time:
        before = generation()
        apply(text)
        after = generation()
    return after if after == before + 1 else 0


def apply(text: str) -> None:
    """One transaction.  Raises FirewallError."""
    with _one_at_a_time:
        _apply(text)


def _apply(text: str) -> None:
    library = _library() if len(text) < LARGE_BYTES else None
    if library is not None:
        _run(library, text)
        return
    nft = shutil.which("nft")
    if not nft:
        raise FirewallError("nft is needed: apt-get install nftables")
    done = subprocess.run([nft, "-f", "-"], input=text.encode(), capture_output=True, timeout=_SECONDS, check=False)
    if done.returncode != 0:
        raise FirewallError(_short(done.stderr))


def listed(words: str) -> list[dict[str, Any]]:
    """What `nft -j list WORDS` says: its "nftables" array; [] when there is no such thing.  Raises FirewallError."""
    library = _library()
    if library is not None:
        try:
            with _one_at_a_time:
                text = _run(library, f"list {words}", json_output=True)
        except FirewallError as error:
            if "No such file" in str(error):
                return []
            raise
    else:
        done = subprocess.run(["nft", "-j", "list", *words.split()], capture_output=True, timeout=_SECONDS, check=False)
        text = done.stdout if done.returncode == 0 else b""
    found: list[dict[str, Any]] = json.loads(text)["nftables"] if text else []
    return found


def _run(library: ctypes.CDLL, text: str, *, json_output: bool = False) -> bytes:
    context = library.nft_ctx_new(0)
    try:
        library.nft_ctx_buffer_error(context)
        library.nft_ctx_buffer_output(context)
        if json_output:
            library.nft_ctx_output_set_flags(context, _JSON)
        if library.nft_run_cmd_from_buffer(context, text.encode()) != 0:
            raise FirewallError(_short(library.nft_ctx_get_error_buffer(context) or b""))
        return library.nft_ctx_get_output_buffer(context) or b""
    finally:
        library.nft_ctx_free(context)


def _short(error: bytes) -> str:
    return error.decode("utf-8", "replace").strip()[:1000]
