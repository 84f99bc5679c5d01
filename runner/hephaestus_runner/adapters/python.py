"""Plain Python: find ``module:object`` in the package, and call it with its failures told apart."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from hephaestus_runner.channel import Cancelled
from hephaestus_runner.sdk import NotGranted, RequestFailed
from hephaestus_runner.work import WorkFailed, trace_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from hephaestus_runner.config import Places


def prepare(place: Places) -> None:
    """Put the package's ``src`` and then the package itself where modules are looked for."""
    if place.package is None:
        raise WorkFailed("specification", "this role runs package code, and no package was given")
    for folder in (place.package, f"{place.package}/src"):
        if folder not in sys.path:
            sys.path.insert(0, folder)


def load(entry: str, place: Places) -> Any:
    """The object that an entry point names.

    Args:
        entry: ``module:object``.
        place: Where the package is.

    Raises:
        WorkFailed: With cause ``agent_code``, saying whether the module, the object or the import is at fault.
    """
    prepare(place)
    name, _, attribute = entry.partition(":")
    if not name or not attribute:
        raise WorkFailed("agent_code", f"entry point {entry!r}: expected module:object")
    module = _run(f"importing {name}", importlib.import_module, name, missing=name, entry=entry)
    origin = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), "")
    if not os.path.realpath(origin).startswith(os.path.realpath(str(place.package)) + os.sep):
        raise WorkFailed(
            "agent_code",
            f"entry point {entry!r}: the package has no module {name!r}; it would be {origin or 'built in'}",
        )
    found = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise WorkFailed("agent_code", f"entry point {entry!r}: module {name!r} has no {attribute!r}")
        found = getattr(found, part)
    return found


def function(entry: str, place: Places) -> Callable[..., Any]:
    """As :func:`load`, for something that can be called.

    Raises:
        WorkFailed: As :func:`load`, and if it cannot be called.
    """
    found = load(entry, place)
    if not callable(found):
        raise WorkFailed("agent_code", f"entry point {entry!r} is {type(found).__name__}, not a function")
    return found  # type: ignore[no-any-return]


def call(entry: str, target: Callable[..., Any], *arguments: object) -> Any:
    """Call package code.

    Raises:
        WorkFailed: With what it raised: ``agent_code``, or the cause of a request that the host refused.
        Cancelled: If the host gave the work up.
    """
    return _run(f"running {entry}", target, *arguments)


def _run(doing: str, target: Callable[..., Any], *arguments: object, missing: str = "", entry: str = "") -> Any:
    try:
        return target(*arguments)
    except Cancelled:
        raise
    except RequestFailed as error:
        raise WorkFailed(error.cause, error.message, trace=trace_of(error)) from error
    except NotGranted as error:
        raise WorkFailed("specification", str(error), trace=trace_of(error)) from error
    except ModuleNotFoundError as error:
        if missing and error.name is not None and (missing == error.name or missing.startswith(error.name + ".")):
            text = f"entry point {entry!r}: there is no module {error.name!r} in the package or its src folder"
            raise WorkFailed("agent_code", text) from error
        raise _agent_code(doing, error) from error
    except MemoryError as error:
        raise WorkFailed("agent_code", f"{doing} needed more memory than the limit allows") from error
    except BaseException as error:
        raise _agent_code(doing, error) from error


def _agent_code(doing: str, error: BaseException) -> WorkFailed:
    return WorkFailed("agent_code", f"{doing} raised {type(error).__name__}: {_text(error)}", trace=trace_of(error))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the exception's class is package code as well
        return "(its text could not be made)"
