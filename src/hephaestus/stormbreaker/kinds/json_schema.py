"""``json-schema``: the artefact fits a JSON Schema (draft 2020-12) of the release."""

from __future__ import annotations

from typing import Annotated

import msgspec

from hephaestus.stormbreaker.kind import Compiled, DataCheck, Files, Kind, Params, release_file
from hephaestus.stormbreaker.schema import compile_schema


class SchemaParams(Params, frozen=True, kw_only=True):
    """Parameters of ``json-schema``."""

    schema: Annotated[str, msgspec.Meta(min_length=1, max_length=240)]  # path in the release
    formats: bool = False  # whether `format` is an assertion; the draft makes it a remark


def _compile(params: SchemaParams, files: Files) -> Compiled:
    data = release_file(files, params.schema)
    schema = compile_schema(data, name=params.schema, formats=params.formats)
    if schema.accepts_anything:
        raise ValueError(
            f"`{params.schema}` accepts null, numbers, texts, lists and objects alike, so it proves nothing;"
            ' begin it with the wanted "type"'
        )
    return Compiled(check=DataCheck(schema.look), files={params.schema: data})


JSON_SCHEMA = Kind(name="json-schema", params=SchemaParams, compile=_compile)
