"""Requests as words: the pinned normalisation and the tokens with their places in the text.

The same text gives the same words on every Python: categories and NFKC come from Unicode 3.2, of which every CPython
carries a frozen copy for IDNA (``unicodedata.ucd_3_2_0``), and only characters assigned there are folded, which
Unicode's stability policies fix for ever. Over the current database the same functions gave four tables in six
versions of Python. :data:`UNICODE_DIGEST` names the result; a test recomputes it.

Rules, in this order:

* A character that Unicode 3.2 does not know (newer scripts, most emoji) is left as it is and is a word of its own.
* Format characters (soft hyphen, joiners, direction marks) and variation selectors are not there at all.
* A character and the marks that follow it are put through NFKC, case folding, NFKC.
* A word is a run of letters, digits and marks; an apostrophe between two of them belongs to it.
* Ideographs, kana and the scripts of South-East Asia are written without spaces: each character is a word, so that a
  phrase finds its place in running text.
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata

import msgspec

from hephaestus.canonical import Digest, digest_bytes, tagged
from hephaestus.errors import InvalidRequest

UNICODE_DIGEST = Digest("sha256:8a140259b0cdfbec1bf2a7b607e40df7565347dd2f1365e5670fdbe0ce258ff7")
"""What :func:`unicode_digest` must give; part of every card table and receipt."""

MAX_REQUEST = 65_536
"""Characters of the longest request that is read."""

MAX_MARKS = 30
"""Marks that are composed with one character, as in Unicode's stream-safe format: sorting them is quadratic."""

_UCD = unicodedata.ucd_3_2_0
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")
_APOSTROPHES = "'\u2019\u02bc\u2018\u201b"
# Signs of ordinary writing whose place an ASCII sign can take, so that most English text is read as ASCII.
_PLAIN = str.maketrans(_APOSTROPHES, "'" * len(_APOSTROPHES)) | str.maketrans(
    dict.fromkeys("\u00a0\u2010\u2011\u2013\u2014\u201c\u201d\u201e\u2026\u00ab\u00bb\u2022", " ")
)
_ONE_BY_ONE = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # ideographic iteration mark and zero
    (0x3040, 0x30FF),  # kana
    (0x31F0, 0x31FF),  # kana extensions
    (0x3400, 0x9FFF),  # ideographs
    (0xF900, 0xFAFF),  # compatibility ideographs
    (0x20000, 0x2FFFF),
)
_SEPARATOR, _LETTER, _MARK, _APOSTROPHE, _ALONE, _NOTHING = range(6)


class Token(msgspec.Struct, frozen=True):
    """One word of a request and where it stood."""

    word: str  # normalised
    start: int  # offset of its first character in the text, in code points
    end: int  # offset after its last character


def check_request(request: str) -> None:
    """Refuse what no router reads. Takes bounded time and memory, whatever the size.

    Raises:
        InvalidRequest: If ``request`` is not text, holds NUL or a lone surrogate, or is longer than
            :data:`MAX_REQUEST`.
    """
    if not isinstance(request, str):
        raise InvalidRequest(f"a request is text, not {type(request).__name__}", hint="decode the bytes first")
    if len(request) > MAX_REQUEST:
        raise InvalidRequest(
            f"a request has at most {MAX_REQUEST} characters, this one has {len(request)}",
            hint="route a summary, and hand the rest to the agent as input",
        )
    if "\0" in request:
        raise InvalidRequest(f"a request is text, but character {request.index(chr(0))} is NUL")
    if not request.isascii():
        try:
            request.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidRequest(
                f"a request is Unicode text, but character {error.start} is a lone surrogate",
                hint="decode the bytes as UTF-8 without 'surrogateescape'",
            ) from error


def words(text: str) -> list[str]:
    """The normalised words of ``text``, in order: those of :func:`tokens`."""
    text = text if text.isascii() else text.translate(_PLAIN)
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    return [token.word for token in _read(text)]


def tokens(text: str) -> list[Token]:
    """The normalised words of ``text`` with their places in it, in order.

    Where one character has several words in its normal form (a vulgar fraction, say), all of them have its place.
    """
    text = text if text.isascii() else text.translate(_PLAIN)
    if text.isascii():
        return [Token(found[0], found.start(), found.end()) for found in _ASCII_WORD.finditer(text.lower())]
    return _read(text)


def unicode_digest() -> Digest:
    """The digest of what this module does to every code point, and to every character written in pieces.

    Takes about a second; for tests and ``doctor``, not for start-up.
    """
    state = hashlib.sha256()
    for code in range(0x110000):
        char = chr(code)
        if 0xD800 <= code < 0xE000 or _UCD.category(char) == "Cn":
            continue
        pieces = _UCD.normalize("NFD", char)
        state.update(f"{code:x} {_kind(char)} {_joins(char):d} {_fold(char)} {_fold(pieces)}\n".encode())
    return digest_bytes(tagged("hephaestus/unicode/1", state.digest()))


def _read(text: str) -> list[Token]:
    """:func:`tokens` of any text, one character with its marks after the other."""
    found: list[Token] = []
    parts: list[str] = []  # of the word being read
    start = stop = 0
    apostrophe = False  # stands after the word being read, and belongs to it if a letter follows
    position = 0
    while position < len(text):
        end = _cluster_end(text, position)
        for kind, char in _classified(text[position:end]):
            if kind == _LETTER or (kind == _MARK and parts and not apostrophe):
                if not parts:
                    start = position
                parts.append("'" + char if apostrophe else char)
                apostrophe = False
                stop = end
            elif kind == _APOSTROPHE and parts and not apostrophe:
                apostrophe = True
            elif kind == _MARK and not parts and found and found[-1].start == position:
                found[-1] = Token(found[-1].word + char, position, end)
            else:
                if parts:
                    found.append(Token("".join(parts), start, stop))
                    parts.clear()
                    apostrophe = False
                if kind == _ALONE:
                    found.append(Token(char, position, end))
        position = end
    if parts:
        found.append(Token("".join(parts), start, stop))
    return found


def _cluster_end(text: str, start: int) -> int:
    """Where the character at ``start``, with what composes with it, ends."""
    end = start + 1
    last = min(len(text), end + MAX_MARKS)
    while end < last and text[end] > "\x7f" and _joins(text[end]):
        end += 1
    return end


@functools.lru_cache(maxsize=4096)
def _classified(cluster: str) -> tuple[tuple[int, str], ...]:
    """The characters of a cluster's normal form, each with its kind."""
    return tuple((_kind(char), char) for char in _fold(cluster))


def _kind(char: str) -> int:
    if char in _APOSTROPHES:
        return _APOSTROPHE
    category = _UCD.category(char)
    if category == "Cn" or any(first <= ord(char) <= last for first, last in _ONE_BY_ONE if category[0] in "LN"):
        return _ALONE
    if category == "Cf" or char in "\u00ad\u034f" or "\ufe00" <= char <= "\ufe0f" or "\u180b" <= char <= "\u180d":
        return _NOTHING
    return {"L": _LETTER, "N": _LETTER, "M": _MARK}.get(category[0], _SEPARATOR)


@functools.lru_cache(maxsize=4096)
def _joins(char: str) -> bool:
    """Whether NFKC may compose ``char`` with what stands before it, or it vanishes there."""
    if _kind(char) == _NOTHING:
        return True
    first = _UCD.normalize("NFKD", char)[0]
    return _UCD.category(first)[0] == "M" or "\u1160" <= first <= "\u11ff"


def _fold(cluster: str) -> str:
    """NFKC, case folding, NFKC of one character and its marks."""
    if cluster.isascii():
        return cluster.lower()
    if _UCD.category(cluster[0]) == "Cn":
        return cluster[0] + _fold(cluster[1:])
    kept = "".join(char for char in cluster if _kind(char) != _NOTHING)
    composed = _UCD.normalize("NFKC", kept)
    return _UCD.normalize("NFKC", "".join(map(_fold_case, composed)))


def _fold_case(char: str) -> str:
    folded = char.casefold()
    # 41 old capitals got their small letter only after Unicode 3.2; they stay as they are.
    return char if any(_UCD.category(part) == "Cn" for part in folded) else folded
