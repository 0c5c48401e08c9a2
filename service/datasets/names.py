"""File names that some system cannot hold, or that do not look like what they are."""

MAX_NAME_BYTES = 255
_DEVICES = frozenset({"con", "prn", "aux", "nul"})
_PORTS = ("com", "lpt")


def path_fault(member: str) -> str | None:
    """Why a path is no good as a file's name on every system, or None."""
    return next((fault for part in member.split("/") if (fault := _fault(part))), None)


def is_reserved(name: str) -> bool:
    """Whether Windows takes the name, whatever its suffix, for a device."""
    stem = name.partition(".")[0].rstrip(" ").lower()
    return stem in _DEVICES or (stem[:3] in _PORTS and len(stem) == 4 and stem[3] in "123456789")


def _fault(part: str) -> str | None:
    if not part.isprintable():
        return "holds a control or invisible character"
    if len(part.encode(errors="surrogatepass")) > MAX_NAME_BYTES:
        return f"is longer than {MAX_NAME_BYTES} bytes"
    if part.endswith((".", " ")) or ":" in part:
        return "ends in a dot or space, or holds a colon, which Windows does not keep"
    if part.startswith("-"):
        return "begins with a dash, as options do"
    return "is that of a device on Windows" if is_reserved(part) else None
