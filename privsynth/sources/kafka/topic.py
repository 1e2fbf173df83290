"""The messages that a topic had when it was opened, partition by partition. Nothing is committed or written.

The offsets at which each partition begins and ends are asked for once; reading ends there, however fast others write.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from privsynth.errors import ConfigError, Option, SourceError
from privsynth.sources.kafka.settings import Topic
from privsynth.sources.protocol import SkippedCells, SourceOptions
from privsynth.sources.text.jsonl import JsonTable
from privsynth.sources.text.text_file import decoded

ANSWER_S = 15  # seconds in which a broker must say what a topic has (own); it takes milliseconds
STALL_S = 60  # seconds without a message or an end before reading is given up (own); brokers move in less
MAX_PARTITIONS = 10_000  # of a topic (own): clusters have some 100,000 in all
# Kilobytes that the client may hold before they are read (own), and bytes that it asks a partition for at once.
_QUEUE_KB, _FETCH_BYTES = 16_384, 4 << 20
_REGISTRY_PREFIX = 5  # bytes in front of the JSON of a schema registry: a 0, and the number of the schema
_SILENT = logging.getLogger("privsynth.kafka")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False  # librdkafka's log is not ours: it may quote settings


class KafkaTopic(JsonTable):
    """A topic of JSON objects; columns are members, or paths to them, as of JSON Lines.

    Raises:
      ConfigError: no columns are named: a topic has no header.
      SourceError: the topic is not there, may not be read, or the brokers do not answer.
    """

    def __init__(self, origin: str, options: SourceOptions) -> None:
        self._topic = Topic.of(origin)
        if options.columns is None:
            raise ConfigError(
                f"{self._topic.label} has no header, and the names in its messages are private: name the columns with ",
                Option("columns", python="SourceOptions(columns=…)"),
            )
        super().__init__(self._topic.label, list(options.columns), options, names_are_public=True)
        with self._consumer() as consumer:
            self._ranges = self._offsets(consumer)

    def __repr__(self) -> str:
        return f"KafkaTopic({self.label}, {len(self.names)} columns)"

    @contextmanager
    def _consumer(self) -> Iterator[Any]:
        """Open a client; what it raises becomes a sentence that names the kind of error alone."""
        settings = {
            "group.id": "privsynth", **self._topic.settings, "bootstrap.servers": self._topic.brokers,
            "enable.auto.commit": False, "enable.auto.offset.store": False, "enable.partition.eof": True,
            "auto.offset.reset": "error", "allow.auto.create.topics": False, "isolation.level": "read_committed",
            "queued.max.messages.kbytes": _QUEUE_KB, "fetch.message.max.bytes": _FETCH_BYTES, "log_level": 0,
        }  # fmt: skip
        try:
            consumer = Consumer(settings, logger=_SILENT)
        except KafkaException:
            raise ConfigError(
                f"the settings of {self.label} do not fit together; correct the file of settings"
            ) from None
        try:
            yield consumer
        except KafkaException as error:
            raise self._failed(error.args[0]) from None
        finally:
            consumer.close()

    def _failed(self, error: KafkaError) -> SourceError:
        return SourceError(
            f"{self.label} cannot be read ({error.name()}); check the brokers, the topic and your rights"
        )

    def _offsets(self, consumer: Any) -> dict[int, tuple[int, int]]:
        """Return partition -> its first offset, and the one after its last."""
        topic = consumer.list_topics(self._topic.name, timeout=ANSWER_S).topics[self._topic.name]
        if topic.error is not None:
            raise self._failed(topic.error)
        if len(topic.partitions) > MAX_PARTITIONS:
            raise SourceError(f"{self.label} has more than {MAX_PARTITIONS:,} partitions; read a smaller topic")
        return {
            number: consumer.get_watermark_offsets(TopicPartition(self._topic.name, number), timeout=ANSWER_S)
            for number in sorted(topic.partitions)
        }

    def _pieces(self, skipped: SkippedCells) -> Iterator[str]:
        with self._consumer() as consumer:
            for number, (first, end) in self._ranges.items():
                if first < end:
                    consumer.assign([TopicPartition(self._topic.name, number, first)])
                    for value in self._values(consumer, end):
                        yield self._text_of(value, skipped)

    def _values(self, consumer: Any, end: int) -> Iterator[bytes | None]:
        """Yield the messages of the partition that was assigned, up to the offset `end`.

        Offsets have gaps where a topic is compacted or written in transactions, so that the end of the partition ends
        it, too.
        """
        last = monotonic()
        while monotonic() - last < STALL_S:
            message = consumer.poll(1.0)
            if message is None:
                continue
            last = monotonic()
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                return
            if error is not None:
                raise self._failed(error)
            if message.offset() >= end:
                return
            yield message.value()
            if message.offset() == end - 1:
                return
        raise SourceError(f"{self.label} sent nothing for {STALL_S} seconds; check the brokers and try again")

    def _text_of(self, value: bytes | None, skipped: SkippedCells) -> str:
        """Return a value as text; "" for none, and for one that is too long, which is counted."""
        value = value or b""
        if value[:1] == b"\0":
            value = value[_REGISTRY_PREFIX:]
        if len(value) > 4 * self._options.max_record_chars:  # a character has at most four bytes
            skipped.long_lines += 1
            return ""
        return decoded(value, "utf-8")
