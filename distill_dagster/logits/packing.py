"""Packs whole numbers of a few bits each into as many bits as they need.

A token id of a 151,936-token vocabulary needs 18 bits. 64 of them take 256 bytes as int32 and 144 bytes here:

    values  [5, 151935, 1042, …]            18 bits each
    blob    low bytes   05 7f 12 …          64 bytes   a plane of bytes for each whole byte of the width
            mid bytes   00 51 04 …          64 bytes
            high bits   00 10 00 …          16 bytes   and the remaining bits behind one another

Planes of bytes take no more room than one string of bits, and a compressor sees whole bytes: it finds neighbours with
the same high bits (small ids, small differences).
"""

import numpy as np


def bits_for(count: int) -> int:
    """Bits that a number below `count` needs: 18 for 151,936; 0 for 1."""
    return (count - 1).bit_length()


def packed_size(count: int, width: int) -> int:
    """Bytes that `count` numbers of `width` bits take."""
    planes, rest = divmod(width, 8)
    return count * planes + (count * rest + 7) // 8


def pack(values: np.ndarray, width: int) -> bytes:
    """Non-negative integers of any shape, each below 2**width, as bytes; the shape is not kept."""
    flat = np.ascontiguousarray(values, dtype=np.uint32).ravel()
    assert flat.size == 0 or int(flat.max()) >> width == 0, f"{flat.max()} needs more than {width} bits"
    planes, rest = divmod(width, 8)
    blob = b"".join((flat >> np.uint32(8 * plane)).astype(np.uint8).tobytes() for plane in range(planes))
    if rest == 0:
        return blob
    high = (flat >> np.uint32(8 * planes)).astype(np.uint8)
    bits = (high[:, None] >> np.arange(rest, dtype=np.uint8)) & np.uint8(1)  # (count, rest)
    return blob + np.packbits(bits, bitorder="little").tobytes()


def unpack(blob: bytes, count: int, width: int) -> np.ndarray:
    """The numbers that `pack` packed, as (count,) uint32.

    Raises:
        ValueError: the blob does not have the size of `count` numbers of `width` bits.
    """
    if len(blob) != packed_size(count, width):
        raise ValueError(f"{len(blob)} bytes, but {count} numbers of {width} bits take {packed_size(count, width)}")
    planes, rest = divmod(width, 8)
    raw, values = np.frombuffer(blob, dtype=np.uint8), np.zeros(count, dtype=np.uint32)
    for plane in range(planes):
        values |= raw[plane * count : (plane + 1) * count].astype(np.uint32) << np.uint32(8 * plane)
    if rest:
        bits = np.unpackbits(raw[planes * count :], count=count * rest, bitorder="little").reshape(count, rest)
        values |= np.packbits(bits, axis=1, bitorder="little")[:, 0].astype(np.uint32) << np.uint32(8 * planes)
    return values
