"""Other people's text inside our own sentences: short, and without anything that acts on a terminal."""

SHOWN_CHARS = 200


def shown(text: str, limit: int = SHOWN_CHARS) -> str:
    """Quoted, escaped where it does not print, and cut: `'a\\nb'`."""
    return repr(cut(text, limit))


def cut(text: str, limit: int = SHOWN_CHARS) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def printable(text: str) -> str:
    """The text with control, bidirectional and other invisible characters written out (`\\x1b`, `\\u202e`).

    Line ends stay: they are ours more often than theirs, and harmless.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()
