"""The tree against published hashes, and against the definition of RFC 6962 written down as it stands."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.errors import VerificationError
from privsynth.transparency import merkle

# The eight entries of the tests of Certificate Transparency (google/certificate-transparency, merkletree tests), and
# the roots of their first 1 to 8.
ENTRIES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [merkle.leaf_hash(bytes.fromhex(text)) for text in ENTRIES]


def split(n):
    """Return the largest power of two below n."""
    return 1 << ((n - 1).bit_length() - 1)


def mth(leaves):
    """MTH of RFC 6962, 2.1, over leaf hashes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m, leaves):
    """PATH of RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    return [*path(m, leaves[:k]), mth(leaves[k:])] if m < k else [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m, leaves, whole):
    """SUBPROOF of RFC 6962, 2.1.2."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def some(n):
    return [merkle.leaf_hash(str(i).encode()) for i in range(n)]


def test_published_roots():
    assert merkle.root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert [merkle.root(LEAVES[: n + 1]).hex() for n in range(8)] == ROOTS


def test_published_proofs():
    assert [h.hex()[:8] for h in merkle.inclusion_proof(LEAVES, 0)] == ["96a296d2", "5f083f0a", "6b47aaf2"]
    assert [h.hex()[:8] for h in merkle.consistency_proof(LEAVES, 6)] == ["0ebc5d34", "ca854ea1", "d37ee418"]


@pytest.mark.parametrize("n", range(1, 40))
def test_roots_and_proofs_are_those_of_the_definition(n):
    leaves = some(n)
    assert merkle.root(leaves) == mth(leaves)
    for m in range(n):
        assert merkle.inclusion_proof(leaves, m) == path(m, leaves)
    for m in range(1, n):
        assert merkle.consistency_proof(leaves, m) == subproof(m, leaves, True)
    assert merkle.consistency_proof(leaves, n) == merkle.consistency_proof(leaves, 0) == []


@settings(deadline=None)
@given(st.integers(1, 600), st.data())
def test_a_proof_of_inclusion_holds_for_its_own_entry_alone(n, data):
    leaves, index = some(n), data.draw(st.integers(0, n - 1))
    proof, root = merkle.inclusion_proof(leaves, index), merkle.root(leaves)
    merkle.check_inclusion(leaves[index], index, n, proof, root)
    other = data.draw(st.integers(0, n - 1))
    wrong = [
        (merkle.leaf_hash(b"other"), index, n, proof, root),
        (leaves[index], index, n, [*proof, root], root),
        (leaves[index], n, n, proof, root),
        (leaves[index], -1, n, proof, root),
        (leaves[index], index, n, proof, merkle.leaf_hash(b"")),
    ]
    if proof:
        wrong += [(leaves[index], index, n, proof[:-1], root), (leaves[index], index, n, [root, *proof[1:]], root)]
    if other != index:
        wrong.append((leaves[index], other, n, proof, root))
    for arguments in wrong:
        with pytest.raises(VerificationError):
            merkle.check_inclusion(*arguments)


@settings(deadline=None)
@given(st.integers(1, 600), st.data())
def test_a_proof_of_consistency_holds_for_its_own_trees_alone(n, data):
    leaves, m = some(n), data.draw(st.integers(1, n))
    old, new, proof = merkle.root(leaves[:m]), merkle.root(leaves), merkle.consistency_proof(leaves, m)
    merkle.check_consistency(m, old, n, new, proof)
    fork = merkle.root([merkle.leaf_hash(b"changed"), *leaves[1:]])
    wrong = [(m, merkle.leaf_hash(b""), n, new, proof), (m, old, n, fork, proof), (m, old, n, new, [*proof, old])]
    wrong += [(n + 1, old, n, new, proof)]
    if proof:
        wrong += [(m, old, n, new, proof[:-1]), (m, old, n, new, [new, *proof[1:]])]
    for arguments in wrong:
        with pytest.raises(VerificationError):
            merkle.check_consistency(*arguments)


def test_everything_adds_to_nothing():
    merkle.check_consistency(0, merkle.root([]), 3, merkle.root(some(3)), [])
    with pytest.raises(VerificationError):
        merkle.check_consistency(0, merkle.root(some(1)), 3, merkle.root(some(3)), [])
    with pytest.raises(IndexError):
        merkle.inclusion_proof([], 0)
    with pytest.raises(IndexError):
        merkle.consistency_proof(some(2), 3)


def test_no_inner_node_passes_for_an_entry():
    left, right = some(2)
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)
