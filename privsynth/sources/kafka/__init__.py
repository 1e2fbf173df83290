"""A topic of Kafka (`kafka://BROKER/TOPIC`) as it is when it is opened: JSON objects, one a message."""

from __future__ import annotations

from privsynth.extras import needs
from privsynth.sources.protocol import Adapter, Source, SourceOptions

__all__ = ["SOURCE"]


def _open(origin: str, options: SourceOptions) -> Source:
    with needs("kafka"):
        from privsynth.sources.kafka.topic import KafkaTopic

        return KafkaTopic(origin, options)


SOURCE = Adapter(what="a topic of Kafka", open=_open, schemes=("kafka",), has_header=False)
