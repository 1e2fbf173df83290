"""Merkle trees as Certificate Transparency defines them: one hash for a list, and short proofs about it.

A proof of inclusion shows that an entry is in a list with a given root; a proof of consistency, that a longer list only
adds to a shorter one. All hashes are SHA-256 (32 bytes); leaves and inner nodes are hashed apart, so that no inner node
passes for an entry. Source: RFC 6962, section 2.1; the checks are those of RFC 9162, sections 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from privsynth.errors import VerificationError

HASH_BYTES = 32  # of SHA-256
EMPTY_ROOT = hashlib.sha256().digest()


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of an entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Return the hashes of the tree, leaves first; the last of an odd level stands in the next one as it is."""
    found = [list(leaves)]
    while len(found[-1]) > 1:
        below = found[-1]
        above = [node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
        found.append(above + below[len(above) * 2 :])
    return found


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root of the tree over these leaf hashes."""
    return levels(leaves)[-1][0] if leaves else EMPTY_ROOT


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the hashes beside the way from a leaf to the root, the leaf's sibling first.

    Raises:
      IndexError: there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError("no such leaf")
    proof = []
    for level in levels(leaves)[:-1]:
        if index ^ 1 < len(level):
            proof.append(level[index ^ 1])
        index >>= 1
    return proof


def consistency_proof(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """Return what shows that these leaves begin with the first `first` of them; empty for none and for all.

    Raises:
      IndexError: there are not so many leaves.
    """
    if not 0 <= first <= len(leaves):
        raise IndexError("not so many leaves")
    if first in (0, len(leaves)):
        return []
    node, last, proof = first - 1, len(leaves) - 1, []
    tree = iter(levels(leaves))
    level = next(tree)
    while node & 1:
        node, last, level = node >> 1, last >> 1, next(tree)
    if node:
        proof.append(level[node])
    while last:
        if node & 1:
            proof.append(level[node - 1])
        elif node < last:
            proof.append(level[node + 1])
        node, last, level = node >> 1, last >> 1, next(tree)
    return proof


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> None:
    """Return if the proof shows that a leaf hash stands at this index of a tree with this size and root.

    Raises:
      VerificationError: it does not.
    """
    if not 0 <= index < size:
        raise VerificationError("the proof is about an entry that lies beyond the end of the log")
    node, last, found = index, size - 1, leaf
    for beside in proof:
        if last == 0:
            raise VerificationError("the proof of inclusion is too long")
        if node & 1 or node == last:
            found = node_hash(beside, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        node, last = node >> 1, last >> 1
    if last != 0 or found != expected:
        raise VerificationError("the proof does not show that the entry is in the log at this checkpoint")


def check_consistency(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> None:
    """Return if the proof shows that the tree of `second` leaves begins with that of `first`.

    Raises:
      VerificationError: it does not.
    """
    wrong = VerificationError("the proof does not show that the later checkpoint only adds to the earlier one")
    if first > second or (first == 0 and first_root != EMPTY_ROOT):
        raise wrong
    if first in (0, second):
        if proof or (first == second and first_root != second_root):
            raise wrong
        return
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        raise wrong
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for beside in path[1:]:
        if last == 0:
            raise wrong
        if node & 1 or node == last:
            old, new = node_hash(beside, old), node_hash(beside, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, beside)
        node, last = node >> 1, last >> 1
    if last != 0 or old != first_root or new != second_root:
        raise wrong
