"""The requests of the live page: the document, the events and explanations, each with the token."""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from edgehar.deploy.live.page.clients import MAX_CLIENTS, Client, event
from edgehar.deploy.live.page.content import document
from edgehar.deploy.live.page.handover import Handover
from edgehar.deploy.live.page.people import PagePeople
from edgehar.deploy.live.page.why import explanation_json, samples_of_last
from edgehar.deploy.live.serving.live_fleet import LiveFleet
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import EdgeharError

TICK_S, LONGEST_TICK_S = 0.1, 0.5
"""Interval of the events: the longer, the more there is to show."""
MOST_SHARE = 0.02
"""Of a core, that the page aims at: it shows a stream that is faster than real time less often, rather than slow it."""
COUNT_S = 1.0
"""Interval at which samples are counted."""
ALIVE_S = 10.0
"""A client without events gets a comment after this long, so that one that is gone is noticed."""
HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Application:
    """An ASGI application.

    Args:
        token: what every request must have as its parameter `token`.
        handover: where samples and answers wait.
        people: what is shown of them.
        fleet: counts samples.
        recognizer: explains predictions.
    """

    def __init__(
        self, token: str, handover: Handover, people: PagePeople, fleet: LiveFleet, recognizer: Recognizer
    ) -> None:
        """Read the document."""
        self._token, self._handover, self._people = token, handover, people
        self._fleet, self._recognizer = fleet, recognizer
        self._document, self._policy = document()
        self._clients = set[Client]()
        self._number = 0
        self._is_explaining = self._has_ended = False

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        query = parse_qs(scope["query_string"].decode("ascii", "replace"), max_num_fields=8)
        given = query.get("token", [""])[0]
        if not secrets.compare_digest(given.encode(), self._token.encode()):
            return await _reply(send, 403, "expected the token that edgehar run printed, as in /?token=...\n")
        if scope["method"] not in ("GET", "HEAD"):
            return await _reply(send, 405, "expected GET\n", allow="GET, HEAD")
        match scope["path"]:
            case "/":
                return await _reply(
                    send, 200, self._document, "text/html; charset=utf-8", **{"content-security-policy": self._policy}
                )
            case "/events" if scope["method"] == "GET":
                return await self._stream(receive, send)
            case "/why":
                return await self._explain(query.get("person", [None])[0], send)
            case _:
                return await _reply(send, 404, "expected /, /events or /why\n")

    async def send_updates(self, is_over: Callable[[], bool]) -> None:
        """Send what is new until the run is over, then the end."""
        counted_s = sent_s = time.monotonic()
        taken_s = time.thread_time()
        while not is_over():
            used_s, taken_s = time.thread_time() - taken_s, time.thread_time()
            await asyncio.sleep(min(max(TICK_S, used_s / MOST_SHARE), LONGEST_TICK_S))
            now_s = time.monotonic()
            self._people.update(*self._handover.take())
            if self._clients and now_s - counted_s >= COUNT_S:
                self._people.count(self._fleet.counts_by_person)
                counted_s = now_s
            if self._send_new():
                sent_s = now_s
            elif now_s - sent_s > ALIVE_S:
                self._put(b": alive\n\n")
                sent_s = now_s
        self._people.update(*self._handover.take())
        self._send_new()
        self._has_ended = True
        self._number += 1
        self._put(event("end", {}, self._number))
        for client in self._clients:
            client.close()

    def _send_new(self) -> bool:
        """Send what is new to all clients, if there is anything."""
        content = self._people.to_json(is_all=False) if self._clients else {}
        self._people.mark_sent()
        if not content.get("people"):
            return False
        self._number += 1
        self._put(event("update", content, self._number))
        return True

    def _put(self, content: bytes) -> None:
        for client in self._clients:
            client.put(content)

    async def _stream(self, receive: Receive, send: Send) -> None:
        """Send events until the client leaves or the run ends."""
        if self._has_ended or len(self._clients) >= MAX_CLIENTS:
            return await _reply(send, 503, f"expected at most {MAX_CLIENTS} pages at one time; close another one\n")
        self._people.update(*self._handover.take())
        self._send_new()  # or the new client would get it twice
        client = Client()
        self._people.count(self._fleet.counts_by_person)
        content = self._people.to_json(is_all=True)
        client.put(event("hello", self._people.hello(), self._number) + event("update", content, self._number))
        self._clients.add(client)
        self._handover.is_watched = True
        sender = asyncio.create_task(_send_events(client, send))
        leaver = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait((sender, leaver), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._clients.discard(client)
            self._handover.is_watched = bool(self._clients)
            for task in (sender, leaver):
                task.cancel()
            await asyncio.gather(sender, leaver, return_exceptions=True)

    async def _explain(self, person: str | None, send: Send) -> None:
        """Explain the newest prediction of a person, one request at a time."""
        track = self._people.track(person)
        if track is None:
            return await _reply(send, 404, "nobody of that name is on the page\n")
        if self._is_explaining:
            return await _reply(send, 503, "another explanation is being computed; ask again later\n")
        self._is_explaining = True
        try:
            samples = samples_of_last(track, self._recognizer)
            found = await asyncio.to_thread(explanation_json, samples, self._recognizer)
        except EdgeharError as problem:
            return await _reply(send, 409, f"{problem}\n")
        finally:
            self._is_explaining = False
        await _reply(send, 200, json.dumps(found).encode(), "application/json")


async def _send_events(client: Client, send: Send) -> None:
    headers = _headers("text/event-stream; charset=utf-8")
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while (content := await client.next()) is not None:
        await send({"type": "http.response.body", "body": content, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _headers(kind: str, **more: str) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in {"content-type": kind, **HEADERS, **more}.items()]


async def _reply(
    send: Send, status: int, body: bytes | str, kind: str = "text/plain; charset=utf-8", **more: str
) -> None:
    content = body.encode() if isinstance(body, str) else body
    headers = _headers(kind, **{"content-length": str(len(content)), **more})
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
