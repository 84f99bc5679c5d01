"""A release as an OCI artifact: a config blob with the file table, a layer per part, and the manifest over them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec

from hephaestus import canonical
from hephaestus.canonical import Digest
from hephaestus.errors import AssetError, IntegrityError
from hephaestus.hub import archive
from hephaestus.hub.tree import MAX_BYTES, File, Row, Tree, rows_digest

if TYPE_CHECKING:
    from hephaestus.hub.admission import Admitted
    from hephaestus.hub.layout import Layout

ARTIFACT_TYPE: Final = "application/vnd.hephaestus.agent.v1+json"
CONFIG_TYPE = "application/vnd.hephaestus.agent.config.v1+json"
MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
# Parts that change at different times travel separately, so that an unchanged one is not moved again. Folders that
# are not named here go with the code.
PARTS = ("code", "knowledge", "prompts", "tests")
MAX_DOCUMENT = 16 << 20  # bytes of a config or manifest; 20,000 files of 240 bytes each need about 8 MiB

_T = TypeVar("_T", bound=msgspec.Struct)


class Descriptor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """An OCI descriptor."""

    media_type: str
    digest: Digest
    size: int
    annotations: dict[str, str] = {}


class OciManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """An OCI image manifest that carries a release."""

    schema_version: Literal[2] = 2
    media_type: Literal["application/vnd.oci.image.manifest.v1+json"] = MANIFEST_TYPE
    artifact_type: Literal["application/vnd.hephaestus.agent.v1+json"] = ARTIFACT_TYPE
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: dict[str, str]


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The config blob: all that a catalogue needs to know of a release. It holds no time, so it is reproducible."""

    schema: Literal[1] = 1
    name: str
    version: str
    summary: str
    tree: Digest
    score: int
    override: str | None
    built: dict[str, str]
    manifest: dict[str, Any]  # agent.toml with every default filled in
    parts: dict[str, tuple[Row, ...]]  # layer -> its files, in their order in the layer


class Stored(msgspec.Struct, frozen=True):
    """A release as it lies in the store, read back and verified."""

    config: Config
    layers: dict[str, Descriptor]  # part -> its layer

    @property
    def rows(self) -> tuple[Row, ...]:
        """All files."""
        return tuple(row for rows in self.config.parts.values() for row in rows)


def part_of(path: str) -> str:
    """The layer that a file belongs to."""
    folder, slash, _ = path.partition("/")
    return folder if slash and folder in PARTS else "code"


def store(layout: Layout, admitted: Admitted) -> Digest:
    """Write every blob of a release, durably, the manifest last.

    Returns:
        The digest of the OCI manifest. Nothing refers to it yet.

    Raises:
        AssetError: If ``agent.toml`` holds a value without canonical form, for example a fraction.
        StorageError: If it cannot be written.
    """
    package, tree = admitted.package, admitted.package.tree
    agent = package.manifest.agent
    parts: dict[str, tuple[Row, ...]] = {}
    for part in PARTS:
        if rows := tuple(row for row in tree.rows if part_of(row.path) == part):
            parts[part] = rows
    config = Config(
        name=agent.name,
        version=agent.version,
        summary=agent.summary,
        tree=tree.digest,
        score=admitted.score,
        override=admitted.override,
        built=package.built,
        manifest=msgspec.to_builtins(package.manifest),
        parts=parts,
    )
    try:
        document = canonical.encode(config)
    except canonical.NotCanonical as error:
        raise AssetError(
            f"it holds a value that cannot be hashed the same everywhere: {error}",
            file="agent.toml",
            hint="write fractions as text or as a smaller unit, for example 1500 milliseconds",
        ) from error
    layers = []
    for part, rows in parts.items():
        digest, size = layout.put(archive.pack(tree.files[row.path] for row in rows))
        title = {"org.opencontainers.image.title": f"{part}.tar"}
        layers.append(Descriptor(_layer_type(part), digest, size, title))
    config_digest, config_size = layout.put([document])
    oci = OciManifest(
        config=Descriptor(CONFIG_TYPE, config_digest, config_size),
        layers=tuple(layers),
        annotations={
            "dev.hephaestus.tree": tree.digest,
            "org.opencontainers.image.licenses": agent.licence,
            "org.opencontainers.image.title": agent.name,
            "org.opencontainers.image.version": agent.version,
        },
    )
    digest, _ = layout.put([canonical.encode(oci)])
    layout.settle()
    return digest


def load(layout: Layout, manifest: Digest, *, tree: Digest, ref: str) -> Stored:
    """Read manifest and config of a release and check that they say what the catalogue says.

    Args:
        layout: Where.
        manifest: Digest of the OCI manifest, from the catalogue.
        tree: The release digest, from the catalogue.
        ref: ``name@version``, from the catalogue.

    Raises:
        IntegrityError: Naming the blob that is damaged, missing or about something else.
        StorageError: If it cannot be read.
    """
    oci = _document(layout.read(manifest), OciManifest, manifest)
    config = _document(layout.read(oci.config.digest, size=oci.config.size), Config, oci.config.digest)
    if f"{config.name}@{config.version}" != ref or config.tree != tree:
        raise IntegrityError(
            f"the catalogue says that blob {manifest} is {ref} with digest {tree}, the blob says that it is "
            f"{config.name}@{config.version} with digest {config.tree}"
        )
    stored = Stored(config, dict(zip(config.parts, oci.layers, strict=False)))
    named = [(_layer_type(part), archive.packed_size(rows)) for part, rows in config.parts.items()]
    if rows_digest(stored.rows) != tree or named != [(layer.media_type, layer.size) for layer in oci.layers]:
        raise IntegrityError(f"the file table of {ref} (blob {oci.config.digest}) does not describe release {tree}")
    return stored


def read_tree(layout: Layout, stored: Stored) -> Tree:
    """All files of a release, every byte verified.

    Raises:
        IntegrityError: Naming the blob that is damaged.
    """
    files: list[File] = []
    for part, layer in stored.layers.items():
        data = layout.read(layer.digest, size=layer.size)
        try:
            files += archive.unpack(data, stored.config.parts[part])
        except ValueError as error:
            raise IntegrityError(f"blob {layer.digest}: {error}") from error
    tree = Tree.of(files)
    if tree.digest != stored.config.tree:
        raise IntegrityError(f"the files of release {stored.config.tree} have the digest {tree.digest}")
    return tree


def read_file(layout: Layout, stored: Stored, path: str) -> bytes:
    """One file of a release, verified, without reading the rest of its layer.

    Raises:
        KeyError: If the release holds no such file.
        IntegrityError: If its bytes are not what the file table says.
    """
    rows = stored.config.parts.get(part_of(path), ())
    row = next((row for row in rows if row.path == path), None)
    if row is None:
        raise KeyError(path)
    layer = stored.layers[part_of(path)]
    data = layout.read_slice(layer.digest, start=archive.offset(rows, path), size=row.size)
    if hashlib.sha256(data).hexdigest() != row.sha256:
        raise IntegrityError(f"blob {layer.digest} is damaged: `{path}` has another digest than the file table says")
    return data


def _layer_type(part: str) -> str:
    return f"application/vnd.hephaestus.agent.{part}.v1.tar"


def _document(data: bytes, kind: type[_T], digest: Digest) -> _T:
    if len(data) > MAX_DOCUMENT:
        raise IntegrityError(
            f"blob {digest} has {len(data)} bytes, more than the {MAX_DOCUMENT} of any {kind.__name__}"
        )
    try:
        document = msgspec.convert(canonical.decode(data), kind)
    except (canonical.NotCanonical, msgspec.ValidationError) as error:
        raise IntegrityError(f"blob {digest} is no {kind.__name__}: {error}") from error
    if isinstance(document, Config):
        _bounded(document, digest)
    return document


def _bounded(config: Config, digest: Digest) -> None:
    rows = [row for rows in config.parts.values() for row in rows]
    misplaced = any(part_of(row.path) != part for part, rows in config.parts.items() for row in rows)
    if any(row.size < 0 for row in rows) or sum(row.size for row in rows) > MAX_BYTES or misplaced:
        raise IntegrityError(f"blob {digest} describes files that no release can hold")
