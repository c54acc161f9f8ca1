"""
The program of `LlamaProcess`: a llama.cpp server with one slot, which ends when its standard input does.

It is run as a script that imports nothing of this package, so that it starts in the time that llama.cpp itself takes.
It reads one line of JSON, the settings, and writes one: the address it listens on, or why it cannot.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from importlib import import_module
from shutil import rmtree
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def main() -> None:
    """Serve until the parent closes standard input, which also happens when it is killed."""
    settings = json.loads(sys.stdin.buffer.readline())
    # What llama.cpp prints must not be taken for the answer to the parent.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _prepare()
    try:
        server = _load(settings)
    except (ImportError, RuntimeError) as error:
        print(json.dumps({"error": str(error)}), file=answer, flush=True)
        return
    address = "http://localhost" if settings["socket"] else str(server.listening_address)
    print(json.dumps({"address": address}), file=answer, flush=True)
    os.read(0, 1)
    rmtree(settings["folder"], ignore_errors=True)
    # Without the destructors: that of a server which computes an answer waits until the answer is complete.
    os._exit(0)


def _prepare() -> None:
    os.umask(0o177)  # the socket and the saved states are for this user only
    os.environ["GGML_NO_BACKTRACE"] = "1"  # otherwise llama.cpp starts a debugger when it aborts
    with suppress(ImportError):  # not on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _load(settings: Mapping[str, Any]) -> Any:
    xllamacpp = import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = settings["model"], {settings["name"]}
    if settings["adapter"]:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path = settings["adapter"]
        params.lora_adapters = [adapter]
    params.verbosity, params.ui = -1, False
    params.n_parallel, params.n_ctx = 1, settings["context"]
    params.cache_prompt, params.cache_ram_mib = False, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    params.slot_save_path = f"{settings['folder']}/"
    params.hostnames, params.port = [settings["socket"] or "127.0.0.1"], 0
    params.api_keys = [settings["key"]]
    # By default any origin may read the answers; an empty list of origins matches none.
    params.cors_origins, params.cors_credentials = "", False
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
