"""Metrics of a live stream for Prometheus, over HTTP on the loopback interface; needs prometheus-client."""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import (
    CollectorRegistry,
    Histogram,
    ProcessCollector,
    make_wsgi_app,  # pyright: ignore[reportUnknownVariableType]
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edgehar.deploy.live.network import POLL_S, log
from edgehar.deploy.live.serving.live_fleet import Answer, LiveFleet
from edgehar.errors import ConfigError
from edgehar.signals.clip import Prediction

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOOPBACK = "127.0.0.1"
REQUEST_S = 2.0
"""A client that sends nothing for this long is disconnected; requests are answered one after the other."""
STANDSTILL_S = 10.0
"""The stream is unhealthy if it does not go on for this long: without lines it goes on several times a second."""
HEALTH_PATH = "/healthy"
LATENCY_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Upper edges of the histogram of latencies."""
CAUSES = ("late", "rejected", "duplicated", "invalid")
"""Fields of `SampleCounts` that count samples that were not used."""


class _FleetCollector(Collector):
    """Reads the counts of a fleet when they are requested."""

    def __init__(self, people: LiveFleet) -> None:
        self._people = people

    def collect(self) -> Iterator[Metric]:
        people, counts = self._people, self._people.counts
        yield GaugeMetricFamily("edgehar_people", "People who have a stream now.", people.people)
        yield CounterMetricFamily("edgehar_people_seen", "People who came; who comes back counts again.", people.known)
        yield CounterMetricFamily("edgehar_hops", "Predictions.", people.predictions)
        yield CounterMetricFamily("edgehar_lines_skipped", "Lines that could not be used.", people.rejected)
        received = CounterMetricFamily("edgehar_samples", "Samples received.", labels=["modality"])
        unused = CounterMetricFamily("edgehar_samples_unused", "Samples not used.", labels=["modality", "cause"])
        for name, one in counts.items():
            received.add_metric([name], one.received)
            for cause in CAUSES:
                unused.add_metric([name, cause], getattr(one, cause))
        yield received
        yield unused


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_S

    def log_message(self, format: str, *args: object) -> None:
        """Log no requests."""


class _Server(WSGIServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that is silent or leaves is no error of ours."""


def _application(registry: CollectorRegistry, people: LiveFleet) -> "WSGIApplication":
    """The metrics at every path but HEALTH_PATH, which has status 200 or 503."""
    metrics = cast("WSGIApplication", make_wsgi_app(registry))

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] != HEALTH_PATH:
            return metrics(environ, start_response)
        still_s = time.monotonic() - people.alive_s
        is_healthy = still_s <= STANDSTILL_S
        headers = [("Content-Type", "text/plain")]
        start_response("200 OK" if is_healthy else "503 Service Unavailable", headers)
        return [b"ok\n" if is_healthy else f"stands still for {still_s:.0f} s\n".encode()]

    return application


@contextmanager
def serve_metrics(port: int, people: LiveFleet) -> Generator[Callable[[Answer], None], None, None]:
    """Serve the metrics within the block; the function that it gives is called with each answer after it is written.

    Args:
        port: port on the loopback interface; 0 takes a free one. It is logged.
        people: the fleet; its lock is held while its samples are counted.

    Raises:
        ConfigError: the port cannot be used.
    """
    registry = CollectorRegistry()
    registry.register(_FleetCollector(people))
    ProcessCollector(registry=registry)
    latency = Histogram(
        "edgehar_latency_seconds",
        "From the arrival of the line that completed a hop until its answer is written.",
        buckets=LATENCY_S,
        registry=registry,
    )

    def observe(answer: Answer) -> None:
        if answer.arrived_s is not None and isinstance(answer.found, Prediction):
            latency.observe(time.monotonic() - answer.arrived_s)

    try:
        server = make_server(LOOPBACK, port, _application(registry, people), _Server, _Handler)
    except OSError as problem:
        raise ConfigError(
            f"--metrics {port}: {problem.strerror or problem}; expected a free port of this machine; choose another one"
        ) from None
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), name="metrics", daemon=True)
    thread.start()
    log(f"metrics at http://{LOOPBACK}:{server.server_port}/metrics")
    try:
        yield observe
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
