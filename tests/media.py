"""What the server sends, taken apart; decoding is the benchmarks' own."""

from benchmarks.media import Mp4, read_mp4

__all__ = ["Mp4", "boxes", "read_mp4"]


def boxes(data: bytes) -> list[str]:
    """The names of the file's top-level boxes, in order."""
    names, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        names.append(data[at + 4 : at + 8].decode())
        at += size
    return names
