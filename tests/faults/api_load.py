"""``python api_load.py KUBECONFIG RUN``: calls the API 20 times a second until standard input ends.

Every other call writes an object of its own. One line of JSON per call, when it has ended, and a
last one on what was read back. Needs nothing but a standard Python.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.lab.api_client import Api

PER_SECOND = 20
AT_MOST = 180.0
"""Seconds, should nobody end it."""
UNDER_WAY = 120
"""Calls that may wait for an answer: five seconds' worth, and some."""

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


class Load:
    """Calls, what became of each, and the writes that were acknowledged."""

    def __init__(self, api: Api, run: str) -> None:
        self._api = api
        self._run = run
        self._told = threading.Lock()
        self._slots = threading.Semaphore(UNDER_WAY)
        self.acknowledged: set[str] = set()

    def go(self, stop: threading.Event) -> None:
        """Call at a steady rate, however long the answers take."""
        began = time.monotonic()
        with ThreadPoolExecutor(UNDER_WAY) as pool:
            for number in range(int(AT_MOST * PER_SECOND)):
                due = began + number / PER_SECOND
                if stop.wait(max(0.0, due - time.monotonic())):
                    break
                self._slots.acquire()
                pool.submit(self._call, number)

    def _call(self, number: int) -> None:
        name = f"{self._run}-{number}"
        why = ""
        try:
            if number % 2:
                status, _ = self._api.ask("GET", "/api/v1/nodes")
            else:
                value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
                status, _ = self._api.ask("POST", CONFIGMAPS, json.dumps(value))
            why = "" if status in (200, 201) else f"status {status}"
        except (OSError, http.client.HTTPException) as error:
            why = f"{type(error).__name__}: {error}"
        finally:
            self._slots.release()
        if not number % 2 and not why:
            self.acknowledged.add(name)
        self._tell({"at": time.monotonic(), "write": not number % 2, "why": why})

    def lost(self, written: set[str]) -> list[str]:
        """Those of these writes that are not there."""
        deadline = time.monotonic() + 30
        while True:
            try:
                status, body = self._api.ask("GET", CONFIGMAPS)
                if status == 200:
                    break
            except (OSError, http.client.HTTPException):
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.5)
        there = {item["metadata"]["name"] for item in json.loads(body)["items"]}
        return sorted(written - there)

    def _tell(self, what: dict[str, object]) -> None:
        with self._told:
            print(json.dumps(what), flush=True)


def main() -> None:
    stop = threading.Event()

    def until_told() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=until_told, daemon=True).start()
    load = Load(Api(sys.argv[1]), sys.argv[2])
    load.go(stop)
    lost = load.lost(load.acknowledged)
    never = f"{sys.argv[2]}-never"
    # Whoever finds nothing lost must be able to.
    assert load.lost({never}) == [never]
    load._tell({"acknowledged": len(load.acknowledged), "lost": lost})


if __name__ == "__main__":
    main()
