"""Kafka: topics of the brokers that librdkafka brings for tests, which speak Kafka's protocol on a port."""

from __future__ import annotations

import json
import sys

import pytest
from confluent_kafka import Consumer, Producer
from hypothesis import given
from hypothesis import strategies as st

from privsynth.errors import ConfigError, MissingPackageError, SourceError
from privsynth.sources import SkippedCells, SourceOptions, open_source
from privsynth.sources.kafka import settings, topic


class Brokers:
    """A cluster of one broker inside a client."""

    def __init__(self):
        self.producer = Producer({"bootstrap.servers": "x", "test.mock.num.brokers": 1, "log_level": 0})
        found = self.producer.list_topics(timeout=10).brokers.values()
        self.address = ",".join(f"{broker.host}:{broker.port}" for broker in found)

    def send(self, name, *values, partition=0):
        for value in values:
            content = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
            self.producer.produce(name, content, partition=partition)
        assert self.producer.flush(10) == 0

    def url(self, name, query=""):
        return f"kafka://{self.address}/{name}{query}"


@pytest.fixture(scope="module")
def brokers():
    return Brokers()


COLUMNS = ("card", "amount.value")


def test_messages_of_all_partitions_are_rows(brokers, read):
    for number in range(3):
        rows = [{"card": f"c{number}{n}", "amount": {"value": 1.50}, "note": "SECRET"} for n in range(5)]
        brokers.send("payments", *rows, partition=number)
    result = read(brokers.url("payments"), columns=COLUMNS)
    assert result.columns == {
        "card": [f"c{number}{n}" for number in range(3) for n in range(5)], "amount.value": ["1.5"] * 15,
    }  # fmt: skip
    assert result.skipped == {"unknown_keys": 15}
    assert result.source.names_are_public


def test_what_is_sent_later_is_not_read(brokers):
    brokers.send("growing", {"card": 1}, {"card": 2})
    source = open_source(brokers.url("growing"), SourceOptions(columns=("card",)))
    brokers.send("growing", {"card": "SECRET"})
    brokers.send("growing", {"card": "SECRET"}, partition=1)
    for _ in range(2):  # as often as wanted, the same rows
        found = [cell for batch in source.batches(SkippedCells()) for cell in batch.column("card").to_pylist()]
        assert found == ["1", "2"]


def test_values_that_are_no_objects_cost_themselves_only(brokers, read):
    prefix = b"\0\0\0\0\7"  # of a schema registry
    values = [b"SECRET", b"[1]", None, b"", prefix + b'{"card": 2}', b"\xff\xfe", b'{"card": "\xff"}', {"card": 1}]
    brokers.send("odd", *values)
    result = read(brokers.url("odd"), columns=("card",), max_record_chars=1_000)
    assert result.columns == {"card": ["2", None, "1"]}
    assert result.skipped == {"bad_json_lines": 2, "non_object_lines": 1, "undecodable_cells": 1}
    brokers.send("long", {"card": "x" * 5_000}, {"card": "x" * 1_500}, {"card": 3})
    result = read(brokers.url("long"), columns=("card",), max_record_chars=1_000)
    assert (result.columns, result.skipped) == ({"card": ["3"]}, {"long_lines": 2})


def test_a_topic_without_messages_has_no_rows(brokers):
    brokers.send("empty-1", {"card": 1}, partition=3)
    source = open_source(brokers.url("empty-1"), SourceOptions(columns=("card",)))
    source._ranges = {number: (0, 0) for number in source._ranges}
    assert list(source.batches(SkippedCells())) == []


def test_nothing_is_committed(brokers, read):
    brokers.send("committed", {"card": 1})
    read(brokers.url("committed"), columns=("card",))
    consumer = Consumer({"bootstrap.servers": brokers.address, "group.id": "privsynth", "log_level": 0})
    (found,) = consumer.committed([topic.TopicPartition("committed", 0)], timeout=10)
    consumer.close()
    assert found.offset < 0


def test_names_are_asked_for(brokers):
    with pytest.raises(ConfigError, match="has no header, and the names in its messages are private"):
        open_source(brokers.url("payments"))


def test_what_does_not_answer_is_told(brokers, monkeypatch):
    with pytest.raises(SourceError, match=r"nosuch cannot be read \(UNKNOWN_TOPIC_OR_PART\); check the brokers"):
        open_source(brokers.url("nosuch"), SourceOptions(columns=("a",)))
    monkeypatch.setattr(topic, "ANSWER_S", 0.3)
    with pytest.raises(SourceError, match=r"kafka://127\.0\.0\.1:1/t cannot be read \(_TRANSPORT\)"):
        open_source("kafka://127.0.0.1:1/t", SourceOptions(columns=("a",)))
    brokers.send("stalled", {"a": 1})
    source = open_source(brokers.url("stalled"), SourceOptions(columns=("a",)))
    monkeypatch.setattr(topic, "STALL_S", 0)
    with pytest.raises(SourceError, match="sent nothing for 0 seconds"):
        list(source.batches(SkippedCells()))


def test_offsets_that_are_gone_are_told(brokers):
    brokers.send("gone", {"a": 1})
    source = open_source(brokers.url("gone"), SourceOptions(columns=("a",)))
    source._ranges = {0: (5, 9)}
    with pytest.raises(SourceError, match=r"gone cannot be read \(.*OFFSET.*\)"):
        list(source.batches(SkippedCells()))


def test_settings_come_from_a_file(tmp_path, brokers, read):
    path = tmp_path / "client.properties"
    path.write_text("# ours\n\nsecurity.protocol=PLAINTEXT\nclient.id = audit=1\n")
    brokers.send("set", {"card": 1})
    assert read(brokers.url("set", f"?settings={path}"), columns=("card",)).columns == {"card": ["1"]}
    assert settings.Topic.of(f"kafka://b:1/t?settings={path}").settings["client.id"] == "audit=1"
    path.write_text(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.username=anna\nsasl.password=SECRET\n"
    )
    found = settings.Topic.of(f"kafka://b:1/t?settings={path}")
    assert found.settings["sasl.password"] == "SECRET"
    assert "SECRET" not in repr(found) + found.label


@pytest.mark.parametrize(
    ("content", "message"),
    [("security.protocol=SECRET", "do not fit together"), ("SECRET", "line 1 of .* is none of the settings"),
     ("a=1\nSECRET", "line 1"), ("plugin.library.paths=SECRET", "line 1"), ("sasl.kerberos.kinit.cmd=SECRET", "line 1"),
     ("bootstrap.servers=SECRET", "line 1"), (b"\xff\xfe=SECRET", "is no file of properties"),
     ("#" * (1 << 17), "is no file of properties")],
)  # fmt: skip
def test_settings_that_are_none_are_refused_without_their_values(content, message, tmp_path):
    path = tmp_path / "client.properties"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=message) as caught:
        open_source(f"kafka://127.0.0.1:1/t?settings={path}", SourceOptions(columns=("a",)))
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [("kafka://anna:SECRET@b:1/t", "holds no user, password"), ("kafka://b:1/t?password=SECRET", "holds no user"),
     ("kafka://b:1", "is named as kafka://BROKER:PORT/TOPIC"), ("kafka:///t", "is named as"),
     ("kafka://b/a/b", "is named")],
)  # fmt: skip
def test_urls_that_are_none_are_refused(url, message):
    with pytest.raises(ConfigError, match=message) as caught:
        open_source(url, SourceOptions(columns=("a",)))
    assert "SECRET" not in str(caught.value)


@given(st.text(max_size=60))
def test_no_url_breaks_anything_or_is_repeated(text):
    try:
        found = settings.Topic.of(f"kafka://b:1/SECRET?{text}" if "@" in text else f"kafka://{text}")
    except ConfigError as error:
        problem = str(error)
    else:
        problem = "" if found.name else "SECRET"
    assert "SECRET" not in problem


def test_what_is_missing_is_told(monkeypatch):
    monkeypatch.delitem(sys.modules, "privsynth.sources.kafka.topic")
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(MissingPackageError, match=r"install privsynth\[kafka\]"):
        open_source("kafka://b:1/t", SourceOptions(columns=("a",)))
