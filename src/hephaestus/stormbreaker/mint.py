"""Values that only one function may make.

Inside one Python process nothing is secret from the code in it: a program that wants to lie to itself about its own run
can reach in here and do so. What this prevents is the honest mistake, a success that is put together somewhere else
(by a constructor, a decoder, ``msgspec.structs.replace``) and passes through no check. What convinces anybody outside
the process is the certificate's seal.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Mint:
    """Guards the constructor of one type.

    Args:
        maker: Name of the function that makes such values, for the message.
    """

    def __init__(self, maker: str) -> None:
        self._maker = maker
        self._open: ContextVar[bool] = ContextVar(maker, default=False)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Inside this block, and in no other thread or task, the type can be made."""
        token = self._open.set(True)
        try:
            yield
        finally:
            self._open.reset(token)

    def check(self, value: object) -> None:
        """Called by the type's ``__post_init__``.

        Raises:
            TypeError: If the value is being made anywhere but inside :meth:`open`.
        """
        if not self._open.get():
            raise TypeError(f"{type(value).__name__} is made by {self._maker}, and by nothing else")
