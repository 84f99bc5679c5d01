"""The interview: one question at a time until the brief builds, the questions run out, or the rounds are spent.

A step never changes an interview, it returns the next one. What was asked is part of the value, so an interview that
was saved goes on with the same next question.
"""

from __future__ import annotations

import functools
import tomllib
from typing import TYPE_CHECKING, Any, Self

import msgspec

from hephaestus import canonical
from hephaestus.assets.brief import Brief
from hephaestus.errors import UsageError
from hephaestus.interview.freeze import brief_digest
from hephaestus.interview.questions import Question, options, questions
from hephaestus.interview.score import Report, assess
from hephaestus.interview.table import BY_NAME, ROUNDS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class Put(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question that was put off, with the reason."""

    field: str
    reason: str


class Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an interview remembers besides its package."""

    brief: Brief
    asked: tuple[str, ...]
    deferred: tuple[Put, ...]
    rounds: int


class Interview:
    """Asks for what a brief lacks.

    Args:
        brief: Where it starts; an empty brief is a start.
        checks: Id -> kind of every check of the package.
        files: The paths of the package.
        rounds: How many questions may be asked at most.
    """

    def __init__(
        self, brief: Brief, *, checks: Mapping[str, str], files: Collection[str], rounds: int = ROUNDS
    ) -> None:
        if rounds < 0:
            raise UsageError(f"an interview has 0 rounds or more, not {rounds}")
        self._state = Saved(brief, (), (), rounds)
        self._checks = dict(checks)
        self._files = frozenset(files)

    @property
    def brief(self) -> Brief:
        """The specification as it stands."""
        return self._state.brief

    @property
    def asked(self) -> tuple[str, ...]:
        """The fields that were answered or put off, in order."""
        return self._state.asked

    @property
    def deferred(self) -> tuple[Put, ...]:
        """What was put off. It stays missing."""
        return self._state.deferred

    @functools.cached_property
    def report(self) -> Report:
        """The score of the brief as it stands."""
        return assess(self.brief, checks=self._checks, files=self._files)

    def next_question(self) -> Question | None:
        """The next question, or None: the brief builds, every open field was asked, or the rounds are spent."""
        if self.report.builds or len(self.asked) >= self._state.rounds:
            return None
        statuses = {point.field: point.status for point in self.report.points}
        for candidate in questions(statuses, self.report.blocking, self._checks):
            if candidate.field not in self.asked:  # each question is about another field, so asking ends
                return candidate
        return None

    def answer(self, field: str, value: object) -> Interview:
        """The interview after ``field`` was answered.

        Args:
            field: A field of the form, usually that of :meth:`next_question`.
            value: One of the question's options, or a value of the shape that ``brief.toml`` has there. A text
                answers a list of texts with one entry.

        Raises:
            UsageError: For an unknown field, or a value that does not fit; nothing has changed then.
        """
        chosen = options(self._known(field), checks=self._checks)
        if isinstance(value, str) and value in chosen:
            if chosen[value] is None:
                raise UsageError(f"{field}: {value!r} is done in the package, not in the brief", hint="then ask again")
            value = chosen[value]
        brief = _put(self.brief, field, value)
        provenance = {key: origin for key, origin in brief.provenance.items() if not _within(key, field)}
        return self._next(msgspec.structs.replace(brief, provenance=provenance), field)

    def answer_typed(self, field: str, text: str) -> Interview:
        """The interview after ``field`` was answered with what a person typed.

        Args:
            field: A field of the form.
            text: An option of the question; or plain text where the field is text or a list of texts; or a value as
                ``brief.toml`` would have it.

        Raises:
            UsageError: As :meth:`answer`.
        """
        if field in _TEXTS or text in options(self._known(field), checks=self._checks):
            return self.answer(field, text)
        try:
            value: object = tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError):
            value = text
        return self.answer(field, value)

    def skip(self, field: str, reason: str) -> Interview:
        """The interview after ``field`` was put off to later. The field stays missing, whatever stood there.

        Raises:
            UsageError: For an unknown field, or without a reason.
        """
        if not reason.strip():
            raise UsageError(f"putting off {field} needs a reason")
        self._known(field)
        brief = msgspec.structs.replace(self.brief, provenance={**self.brief.provenance, field: "deferred"})
        step = self._next(brief, field)
        step._state = msgspec.structs.replace(step._state, deferred=(*self.deferred, Put(field, reason)))
        return step

    def save(self) -> bytes:
        """The interview as bytes. The package is not in them."""
        return msgspec.json.encode(self._state)

    @classmethod
    def resume(cls, saved: bytes, *, checks: Mapping[str, str], files: Collection[str]) -> Self:
        """The interview that :meth:`save` wrote; its next question is the same if the package is.

        Raises:
            UsageError: If the bytes are no saved interview.
        """
        try:
            canonical.parse_json(saved)
            state = msgspec.json.decode(saved, type=Saved)
        except ValueError as error:
            raise UsageError(f"not a saved interview: {error}") from error
        interview = cls(state.brief, checks=checks, files=files)
        interview._state = state
        return interview

    def _next(self, brief: Brief, field: str) -> Interview:
        step = Interview(brief, checks=self._checks, files=self._files)
        asked = self.asked if field in self.asked else (*self.asked, field)
        step._state = msgspec.structs.replace(self._state, brief=brief, asked=asked)
        return step

    def _known(self, field: str) -> str:
        if field not in BY_NAME:
            raise UsageError(f"{field!r} is no field of a brief", hint=f"one of {', '.join(BY_NAME)}")
        return field


def _put(brief: Brief, field: str, value: object) -> Brief:
    """The brief with one field set, in builtins first so that every shape is checked in one place."""
    axis, _, name = field.partition(".")
    tree: dict[str, Any] = msgspec.to_builtins(brief)
    tables: dict[str, Any] = tree[axis]
    tables[name] = value
    if isinstance(value, str) and field in _TEXT_LISTS:
        tables[name] = [value]
    if field == "scope.out":
        tables["nothing_excluded"] = None
    try:
        changed = msgspec.convert(tree, Brief)
        brief_digest(changed)  # what cannot be hashed (lone surrogates, nested too deeply) cannot be scored
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{field}: {error}", hint="the shape is that of brief.toml") from error
    return changed


def _within(key: str, field: str) -> bool:
    return key == field or key.startswith(field + ".")


_TEXT_LISTS = frozenset({"constraint.tools_allowed", "scope.in", "scope.out", "context.knowledge_sources"})
_TEXTS = frozenset({"goal.outcome", "constraint.network", "scope.stop_when", "context.audience", "context.environment"})
