"""Options of `edgehar run`."""

from dataclasses import dataclass, fields

from edgehar.checks import MAX_THREADS
from edgehar.config import Options, group, option, positional
from edgehar.deploy.live.tcp_server import CLIENT_TIMEOUT_S, MAX_CLIENTS, MOST_CLIENTS
from edgehar.deploy.runtime.providers import PROVIDERS_HELP
from edgehar.deploy.runtime.signature import key_option, personal_option
from edgehar.deploy.stream.options import StreamOptions
from edgehar.errors import ConfigError

MAX_PEOPLE, TIMEOUT_S = 16, 60.0
MAX_PORT = 65535
LOOPBACK = "127.0.0.1"

STREAMS = ("stdin", "listen", "connect", "mqtt", "replay")
"""Fields of `SourceOptions` that name a source of a stream."""
SOURCES = ("input", "data", *STREAMS)
"""Fields of `SourceOptions` that name a source."""


@dataclass(frozen=True)
class SourceOptions(Options):
    """Source; exactly one of --input, --data, --stdin, --listen, --connect, --mqtt and --replay is required."""

    input: tuple[str, ...] = option((), "recording in files: MODALITY=FILE for each sensor, .csv or .npy")
    data: str | None = option(None, "recording of a data set, given by name or folder; with --clip")
    stdin: bool = option(False, "stream of JSON lines on standard input")
    listen: str | None = option(None, "stream of JSON lines from programs that connect to HOST:PORT")
    connect: str | None = option(None, "stream of JSON lines from the server at HOST:PORT")
    mqtt: str | None = option(
        None,
        "stream of JSON lines from mqtt://[user@]host[:port]/topic; mqtts:// for TLS; wildcards + and #, "
        "{person} for a level that names the person, $share/GROUP/ before the topic to share it",
    )
    replay: str | None = option(None, "stream replayed from a data set, given by name or folder; with --clip")
    root: str | None = option(None, "folder with the recordings of a named data set")
    clip: str | None = option(None, "name of the clip of --data or --replay")
    speed: float | None = option(
        None, "speed of --replay relative to the recording, above 0; inf for no delays; default: 1"
    )
    once: bool = option(False, "for --listen and --connect: end when the last connection has ended")
    max_clients: int | None = option(
        None,
        "most clients of --listen at one time; one more replaces the one that is silent for longest; "
        f"default: {MAX_CLIENTS}",
        at_least=1,
        at_most=MOST_CLIENTS,
    )
    client_timeout_s: float | None = option(
        None,
        f"seconds without a line after which a client of --listen is disconnected; default: {CLIENT_TIMEOUT_S:g}",
        above=0,
    )

    def __post_init__(self) -> None:
        """Raise ConfigError unless there is exactly one source, and for options that contradict it."""
        super().__post_init__()
        given = [name for name in SOURCES if getattr(self, name) not in (None, False, ())]
        if len(given) != 1:
            found = " and ".join(f"--{name}" for name in given) or "no source"
            raise ConfigError(f"{found}: expected one of {', '.join(f'--{name}' for name in SOURCES)}")
        if (given[0] in ("data", "replay")) != (self.clip is not None):
            raise ConfigError("--clip: expected together with --data or --replay; give both")
        self.check_used("root", self.root is not None, ("data", "replay"))
        self.check_used("once", self.once, ("listen", "connect"))
        self.check_used("max_clients", self.max_clients is not None, ("listen",))
        self.check_used("client_timeout_s", self.client_timeout_s is not None, ("listen",))
        self.check_used("speed", self.speed is not None, ("replay",))
        if self.speed is not None and not self.speed > 0:
            raise ConfigError(f"--speed {self.speed}: expected a number above 0, or inf for no delays")

    @property
    def source(self) -> str:
        """The field of the source that is given."""
        return next(name for name in SOURCES if getattr(self, name) not in (None, False, ()))

    def check_used(self, name: str, is_given: bool, sources: tuple[str, ...]) -> None:
        """Raise ConfigError if an option is given that has no effect with this source."""
        if is_given and self.source not in sources:
            option_name = name.replace("_", "-")
            expected = " or ".join(f"--{source}" for source in sources)
            raise ConfigError(f"--{option_name} with --{self.source}: expected {expected}; omit --{option_name}")


@dataclass(frozen=True)
class LiveOptions(StreamOptions):
    """Stream; these options need a stream as source."""

    modalities: tuple[str, ...] = option((), "connected sensors; default: all sensors of the package")
    activities: float | None = option(
        None, "write activities of at least this many seconds instead of a prediction per hop", at_least=0
    )
    skip_bad: bool | None = option(
        None, "log and skip invalid lines; else they end the run with exit code 2; default: skip for network sources"
    )
    max_people: int = option(MAX_PEOPLE, "most people at one time whose names lines carry", at_least=1)
    person_timeout_s: float = option(TIMEOUT_S, "seconds without lines after which a person's stream ends", above=0)
    live: bool = option(False, "show the newest prediction on one line of the terminal")
    metrics: int | None = option(
        None, "port of 127.0.0.1 for metrics as Prometheus reads them; 0: a free one", at_least=0, at_most=MAX_PORT
    )
    page: int | None = option(
        None, "port of a page that shows the stream in a browser; 0: a free one", at_least=0, at_most=MAX_PORT
    )
    page_address: str = option(
        LOOPBACK, "address of this machine at which the page is served; not encrypted, so beware of other than loopback"
    )

    def __post_init__(self) -> None:
        """Raise ConfigError for an address without a page, too."""
        super().__post_init__()
        if self.page is None and self.page_address != LOOPBACK:
            raise ConfigError(f"--page-address {self.page_address}: expected together with --page PORT; give both")


@dataclass(frozen=True)
class RunConfig(Options):
    """Options of `edgehar run`."""

    package: str = positional("folder of the edge package")
    to: tuple[str, ...] = option(
        (), "sinks: stdout, a file to append to, tcp://HOST:PORT, mqtt://HOST/TOPIC; default: stdout"
    )
    precision: str | None = option(None, "precision to run; default: as chosen by bench --tune, or the package's")
    threads: int | None = option(
        None, "onnxruntime's threads; default: as chosen by bench --tune, or 1", at_least=1, at_most=MAX_THREADS
    )
    providers: tuple[str, ...] = option((), PROVIDERS_HELP)
    key: str | None = key_option()
    personal: str | None = personal_option()
    source: SourceOptions = group(SourceOptions)
    stream: LiveOptions = group(LiveOptions)

    def __post_init__(self) -> None:
        """Raise ConfigError for stream options without a stream."""
        super().__post_init__()
        for field in fields(self.stream):
            self.source.check_used(field.name, getattr(self.stream, field.name) != field.default, STREAMS)
