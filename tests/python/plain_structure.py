"""The encoding of arguments (PROTOCOL.md, "Memoized calls") in plain Python, for the types that it lays down."""

import hashlib
import struct


def length(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def run(data):
    return length(len(data)) + (data if len(data) <= 1024 else hashlib.blake2b(data, digest_size=32).digest())


def integer(value):
    size = 1
    while not -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1:
        size += 1
    return value.to_bytes(size, "big", signed=True) if value else b""


def double(value):
    return struct.pack(">d", value if value == value else float("nan"))


def encode(value):
    kind = type(value)
    if value is None or kind is bool:
        return {None: b"N", True: b"T", False: b"F"}[value]
    if kind is int:
        return b"i" + run(integer(value))
    if kind is float:
        return b"f" + double(value)
    if kind is complex:
        return b"c" + double(value.real) + double(value.imag)
    if kind is str:
        return b"s" + run(value.encode("utf-8", "surrogatepass"))
    if kind in (bytes, bytearray):
        return {bytes: b"b", bytearray: b"B"}[kind] + run(bytes(value))
    if kind in (tuple, list):
        return {tuple: b"(", list: b"["}[kind] + length(len(value)) + b"".join(map(encode, value))
    if kind is dict:
        return b"{" + length(len(value)) + b"".join(sorted(encode(key) + encode(item) for key, item in value.items()))
    assert kind in (set, frozenset)
    return {set: b"<", frozenset: b">"}[kind] + length(len(value)) + b"".join(sorted(map(encode, value)))
