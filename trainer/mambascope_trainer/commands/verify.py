"""`verify`: a report in words; exit code 0 if the bundle is whole."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..bundle.bundle import Bundle
from ..bundle.verify import verify_bundle
from ..progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, nargs="+", help="the family's folder, or several that share the family")


def run(options: argparse.Namespace) -> int:
    bundle = Bundle.open(options.bundle)
    manifest = bundle.manifest
    faults = verify_bundle(bundle, Progress(None))
    print(f"{manifest.title} ({manifest.family}): {len(manifest.files)} files, {len(manifest.tensors)} base tensors")
    for name, mixer_set in manifest.mixer_sets.items():
        print(f"  mixer set {name}: {mixer_set.mixer}, {len(mixer_set.layers)} layers")
    for name, variant in manifest.variants.items():
        print(f"  variant {name}: {variant.title}")
    for fault in faults:
        print(f"{fault.kind.upper()} {fault.file}: {fault.text}")
    if any(fault.kind == "missing" for fault in faults):
        origin = manifest.origin
        where = f"package {origin['package']} {origin['version']}" if origin["kind"] == "gguf-package" else "its source"
        print(f"Missing base files come from {where}; `import-gguf --manifest` makes them again.")
    if any(fault.kind == "damaged" for fault in faults):
        print("Delete damaged files, then fetch or export them again.")
    if not faults:
        print("All files are there and whole.")
    return 1 if faults else 0
