"""URLs of MQTT topics, for subscriptions and for publishing."""

from dataclasses import dataclass

from edgehar.deploy.live.network import Address, parse_address
from edgehar.errors import ConfigError

PASSWORD_VARIABLE = "EDGEHAR_MQTT_PASSWORD"
PERSON_LEVEL = "{person}"
"""Level of a topic that names the person; subscribed to as +."""
SHARE = "$share"
"""First level of a shared subscription, $share/GROUP/TOPIC (MQTT 5, section 4.8.2); messages do not have it."""
PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True)
class MqttUrl:
    """A topic of a broker, mqtt://[user@]host[:port]/topic; mqtts is the same over TLS.

    Attributes:
        address: the broker.
        topic: as given, with wildcards, PERSON_LEVEL and SHARE.
        user: the user, or None.
        tls: whether the connection is encrypted.
    """

    address: Address
    topic: str
    user: str | None
    tls: bool

    @property
    def subscription(self) -> str:
        """The topic to subscribe to."""
        return "/".join("+" if level == PERSON_LEVEL else level for level in self.topic.split("/"))

    def person(self, topic: str) -> str | None:
        """The person that the topic of a message names, or None."""
        levels = self.topic.split("/")
        levels = levels[2:] if levels[0] == SHARE else levels
        return topic.split("/")[levels.index(PERSON_LEVEL)] if PERSON_LEVEL in levels else None

    def __str__(self) -> str:
        """The URL."""
        user = "" if self.user is None else f"{self.user}@"
        return f"mqtt{'s' if self.tls else ''}://{user}{self.address}/{self.topic}"


def parse_url(text: str, wildcards: bool = False) -> MqttUrl:
    """Parse a URL; raises ConfigError if it is malformed, contains a password or has an invalid topic.

    Args:
        text: the URL; everything after the first single slash is the topic, "#" included.
        wildcards: accept "+" and "#" in the topic, as for a subscription.
    """
    scheme, _, rest = text.partition("://")
    authority, _, topic = rest.partition("/")
    user, at, host = authority.rpartition("@")
    if scheme not in PORTS or (at and not user):
        raise ConfigError(f"{text!r}: expected mqtt://[user@]host[:port]/topic, or mqtts:// for TLS")
    if ":" in user:
        raise ConfigError(
            f"{scheme}://...@{host}: a password in the URL is visible to every program of this machine; expected the "
            f"user name alone; put the password into the environment variable {PASSWORD_VARIABLE}"
        )
    levels = topic.split("/")
    has_wildcards = any(set("+#{}") & set(level) for level in levels)
    well_formed = all(level in ("+", "#", PERSON_LEVEL) or not set("+#{}") & set(level) for level in levels)
    well_formed = well_formed and "#" not in levels[:-1] and levels.count(PERSON_LEVEL) <= 1
    if levels[0] == SHARE:
        has_wildcards = True
        well_formed = well_formed and bool("/".join(levels[2:])) and not {*levels[1]} & {*"+#{"} and levels[1] != ""
    if not topic or "\0" in topic or len(topic.encode()) > 65535 or (has_wildcards and not (wildcards and well_formed)):
        raise ConfigError(
            f"{text!r}: topic {topic!r}; expected a topic such as edgehar/samples"
            + (
                "; + matches one level, {person} one that names the person, # at the end all further levels; "
                "$share/GROUP/ before it shares its messages among the members of a group"
                if wildcards
                else " without +, # and $share"
            )
        )
    return MqttUrl(parse_address(host, PORTS[scheme]), topic, user if at else None, scheme == "mqtts")
