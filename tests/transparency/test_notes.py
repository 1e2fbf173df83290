"""Notes, checkpoints and proofs: the example of the specification, and whatever else anybody may write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transparency.log_facts import NOW, fact

from privsynth.errors import ConfigError, KeyFileError, VerificationError
from privsynth.signing.keys import SigningKey
from privsynth.transparency.checkpoint import LogCheckpoint, LogProof, LogUpdate
from privsynth.transparency.entry import LogEntry
from privsynth.transparency.note import VerifierKey, open_note, sign_note

# The example of C2SP signed-note@v1.0.0.
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()


def test_the_example_of_the_specification_opens():
    key = VerifierKey.parse(VKEY)
    assert (str(key), open_note(NOTE, key)) == (VKEY, "This is an example message.\n")


def test_signatures_of_others_are_passed_over_and_one_that_does_not_fit_is_not():
    key = VerifierKey.parse(VKEY)
    stranger = b"\xe2\x80\x94 witness.example/w AAAAAAAA\n"
    assert open_note(NOTE + stranger, key) == "This is an example message.\n"
    with pytest.raises(VerificationError, match="does not fit"):
        open_note(NOTE.replace(b"example message", b"other message"), key)
    with pytest.raises(VerificationError, match="not signed"):
        open_note(NOTE.replace(b"example.com/foo", b"example.com/bar"), key)


@given(st.integers(0, len(NOTE) - 1), st.integers(0, 255))
def test_no_byte_of_a_note_can_be_changed(place, byte):
    changed = NOTE[:place] + bytes([byte]) + NOTE[place + 1 :]
    if changed != NOTE:
        with pytest.raises(VerificationError):
            open_note(changed, VerifierKey.parse(VKEY))


@given(st.binary(max_size=200))
def test_anything_else_is_no_note_no_proof_and_no_entry(data):
    for read in (
        lambda: open_note(data, VerifierKey.parse(VKEY)),
        lambda: LogProof.parse(data),
        lambda: LogUpdate.parse(data),
        lambda: LogEntry.from_bytes(data),
    ):
        with pytest.raises(VerificationError):
            read()


@pytest.mark.parametrize("text", ["", "a", "a+b+c", VKEY + " ", VKEY.upper(), VKEY.replace("foo", "fox"), VKEY[:-1]])
def test_a_key_has_one_form(text):
    with pytest.raises(KeyFileError):
        VerifierKey.parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (VKEY[:-1], "missing or mistyped"),
        (VKEY[:-2] + "AA", "missing or mistyped"),
        (VKEY.replace("foo", "fox"), "missing or mistyped"),
        (VKEY + " ", "missing or mistyped"),
        ("example.com/foo", "it looks like NAME"),
    ],
)
def test_a_key_that_is_mistyped_is_told_from_something_else(text, says):
    with pytest.raises(KeyFileError, match=says):
        VerifierKey.parse(text)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb"])
def test_a_log_is_called_by_one_word(name):
    with pytest.raises(ConfigError):
        VerifierKey(name, SigningKey.generate().public)


def test_a_checkpoint_is_of_the_log_whose_key_it_bears():
    key = SigningKey.generate()
    verifier = VerifierKey("a.example", key.public)
    said = LogCheckpoint("a.example", 3, bytes(32))
    assert LogCheckpoint.opened(sign_note(said.to_text(), "a.example", key).encode(), verifier) == said
    for text in (
        LogCheckpoint("b.example", 3, bytes(32)).to_text(),
        said.to_text().replace("\n3\n", "\n03\n"),
        said.to_text().replace("\n3\n", "\n-3\n"),
        said.to_text().replace("AAA=", "AAA"),
        "a.example\n3\n",
        "a.example\n",
    ):
        with pytest.raises(VerificationError):
            LogCheckpoint.opened(sign_note(text, "a.example", key).encode(), verifier)


def test_proofs_are_read_back_and_checked_by_who_has_the_key_alone(log):
    earlier = log.append([fact(0)], NOW)
    state = log.append([fact(n) for n in range(1, 7)], NOW)
    proof = LogProof.parse(state.proof(2).to_text().encode())
    assert (proof.check(log.key).size, LogEntry.from_bytes(proof.entry).fact) == (7, fact(2).fact)
    update = LogUpdate.parse(state.update_since(earlier.checkpoint).to_text().encode())
    assert update.check(earlier.checkpoint, log.key) == state.checkpoint
    other = VerifierKey(log.key.name, SigningKey.generate().public)
    with pytest.raises(VerificationError, match="not signed"):
        proof.check(other)
    with pytest.raises(VerificationError, match="not signed"):
        update.check(earlier.checkpoint, other)
    moved = LogProof(3, proof.entry, proof.path, proof.note)
    with pytest.raises(VerificationError, match="does not show"):
        moved.check(log.key)


def test_an_entry_has_one_spelling():
    data = fact().placed(NOW, "0" * 64).to_bytes()
    assert LogEntry.from_bytes(data).to_bytes() == data
    for changed in (
        data + b" ",
        data.replace(b":", b": "),
        data.replace(b"release", b"unheard"),
        data[:-1] + b',"x":1}',
    ):
        with pytest.raises(VerificationError):
            LogEntry.from_bytes(changed)
