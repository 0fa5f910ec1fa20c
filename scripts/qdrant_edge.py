#!/usr/bin/env python3
"""Opens a collection's snapshot with Qdrant's own code and compares its points with a list of them.

    python3 -m venv /tmp/edge && /tmp/edge/bin/pip install qdrant-edge-py
    /tmp/edge/bin/python scripts/qdrant_edge.py notes.snapshot tests/data/qdrant/notes-night1.points.json.zst

The list is JSON, [{"id", "payload", "vector"}…], perhaps compressed by zstd (whose program is then needed).
Vectors and payloads must be equal, number by number. Ends with 0 if all are, and with 1 otherwise.
"""

import json
import os
import struct
import subprocess
import sys
import tarfile
import tempfile

# This file is called like the package it needs.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path = [place for place in sys.path if os.path.abspath(place) != HERE]

PAGE = 1000


def expected(path):
    if path.endswith(".zst"):
        text = subprocess.run(["zstd", "-dqc", path], check=True, stdout=subprocess.PIPE).stdout
    else:
        with open(path, "rb") as file:
            text = file.read()
    return {point["id"]: point for point in json.loads(text)}


def shards(snapshot):
    """Numbers of the shards in a collection's snapshot."""
    with tarfile.open(snapshot) as archive:
        first = {member.name.split("/")[0] for member in archive if "/" in member.name}
    return sorted(name for name in first if name.isdigit())


def shard_alone(snapshot, shard, target):
    """A shard as a snapshot of its own: what is below its folder, without the folder.

    Only the names in the headers change; what is stored stays as it is, sparse or not.
    """
    prefix = shard + "/"
    with tarfile.open(snapshot) as archive, open(snapshot, "rb") as file, open(target, "wb") as out:
        members = list(archive)
        ends = [member.offset for member in members[1:]] + [None]
        for member, end in zip(members, ends):
            if not member.name.startswith(prefix):
                continue
            file.seek(member.offset)
            stored = file.read((end or archive.offset) - member.offset)
            out.write(renamed(stored, member.name[len(prefix):]))
        out.write(bytes(1024))


def renamed(stored, name):
    header = bytearray(stored[:512])
    assert header[156:157] in (b"0", b"\0", b"5", b"S"), "names of more than 100 bytes are not renamed"
    header[0:100] = name.encode().ljust(100, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + stored[512:]


def points(shard):
    from qdrant_edge import ScrollRequest

    offset = None
    while True:
        request = ScrollRequest(offset=offset, limit=PAGE, with_payload=True, with_vector=True)
        page, offset = shard.scroll(request)
        yield from page
        if offset is None:
            return


def single(number):
    """As a 32-bit float: what a server keeps of a number."""
    return struct.unpack("<f", struct.pack("<f", number))[0]


def same_vector(found, wanted):
    if isinstance(wanted, dict):
        return wanted.keys() == found.keys() and all(
            same_vector(found[name], wanted[name]) for name in wanted
        )
    return len(found) == len(wanted) and all(
        single(a) == single(b) for a, b in zip(found, wanted)
    )


def compare(snapshot, wanted):
    from qdrant_edge import EdgeShard

    seen, wrong = 0, []
    missing = set(wanted)
    with tempfile.TemporaryDirectory() as folder:
        for number in shards(snapshot):
            alone, place = os.path.join(folder, number + ".snapshot"), os.path.join(folder, number)
            shard_alone(snapshot, number, alone)
            os.mkdir(place)
            EdgeShard.unpack_snapshot(alone, place)
            shard = EdgeShard.load(place)
            for point in points(shard):
                seen += 1
                missing.discard(point.id)
                known = wanted.get(point.id)
                if known is None:
                    wrong.append(f"point {point.id} is not in the list")
                elif point.payload != known["payload"]:
                    wrong.append(f"point {point.id} has the payload {point.payload}")
                elif not same_vector(point.vector, known["vector"]):
                    wrong.append(f"point {point.id} has another vector")
            shard.close()
    wrong.extend(f"point {id} is not in the snapshot" for id in sorted(missing, key=str))
    return seen, wrong


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    snapshot, wanted = sys.argv[1], expected(sys.argv[2])
    seen, wrong = compare(snapshot, wanted)
    for what in wrong[:20]:
        print(what)
    print(f"{snapshot}: {seen} points, {len(wanted)} expected, {len(wrong)} differ")
    sys.exit(1 if wrong or seen != len(wanted) else 0)


if __name__ == "__main__":
    main()
