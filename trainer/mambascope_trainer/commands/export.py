"""`export`: a run's result, a variant or a pattern: into a bundle, a Hugging Face folder, or an ONNX folder."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..errors import MambascopeError
from ..exporters.hugging_face import write_hugging_face
from ..exporters.run_bundle import RunExport, export_run
from ..exporters.source import ExportSource, from_bundle, from_run
from ..run.config import read_config

#: Number formats of each form, the default first.
PRECISIONS = {"hf": ("f32", "f16", "bf16"), "onnx": ("f32", "f16", "q8", "q4")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("bundle", "hf", "onnx"), default="bundle", help="what to write")
    parser.add_argument("--run", dest="directory", type=Path, help="export this run directory's last checkpoint")
    parser.add_argument("--bundle", type=Path, nargs="+", help="hf, onnx: export from this family's folders instead")
    parser.add_argument("--variant", help="with --bundle: a variant by name (default: teacher)")
    parser.add_argument("--pattern", help="with --bundle: any pattern of its mixers, such as a.m~attn50.a2")
    parser.add_argument("--out", type=Path, required=True, help="the family's folder, or the new folder of hf and onnx")
    parser.add_argument("--dtype", help="hf: f32, f16 or bf16; onnx: f32, f16, q8 or q4 (blocks of 32)")
    parser.add_argument("--fallback", type=Path, nargs="*", default=[], help="other folders of the family")
    parser.add_argument("--set", dest="mixer_set", help="bundle: name of the mixer set and of its variant")
    parser.add_argument(
        "--others", help="bundle: the set of the layers that the run left as they were (layers_trained)"
    )
    parser.add_argument("--title", help="title of the variant, or of a new family")
    parser.add_argument(
        "--codec",
        choices=("q4_0", "q8_0", "f16", "f32"),
        help="how a run's matrices are stored (bundle: q8_0 if not given)",
    )
    parser.add_argument("--tokenizer", type=Path, help="pretrain runs: tokenizer.json")
    parser.add_argument("--description", default="", help="pretrain runs: what the family is")
    parser.add_argument("--license", default="Apache-2.0", help="pretrain runs")


def run(options: argparse.Namespace) -> None:
    if options.format == "bundle":
        if options.directory is None:
            raise MambascopeError("usage", "A bundle is made from a run.", "Give --run.")
        export_run(options.directory, options.out, options.fallback, _run_export(options, options.codec or "q8_0"))
    elif options.format == "hf":
        write_hugging_face(_source(options), options.out, _precision(options))
    else:
        # onnx is needed for this form alone.
        from ..exporters.onnx_folder import write_onnx

        write_onnx(_source(options), options.out, _precision(options))
    print(json.dumps({"result": {"out": str(options.out)}}), flush=True)


def _source(options: argparse.Namespace) -> ExportSource:
    if (options.directory is None) == (options.bundle is None):
        raise MambascopeError("usage", "The model to export is not clear.", "Give either --run or --bundle.")
    if options.directory is None:
        return from_bundle(options.bundle, options.variant, options.pattern)
    if options.variant is not None or options.pattern is not None:
        raise MambascopeError("usage", "A run has one variant.", "Leave --variant and --pattern out, or give --bundle.")
    # What the run trained: the rounded mixers if it trained through a codec.
    codec = options.codec or read_config(options.directory / "config.json").mixer.codec or "f32"
    return from_run(options.directory, options.fallback, _run_export(options, codec))


def _precision(options: argparse.Namespace) -> str:
    choices = PRECISIONS[options.format]
    chosen = options.dtype or choices[0]
    if chosen not in choices:
        raise MambascopeError("usage", f"--format {options.format} has no --dtype {chosen}.", f"Choose from {choices}.")
    return str(chosen)


def _run_export(options: argparse.Namespace, codec: str) -> RunExport:
    return RunExport(
        codec,
        options.mixer_set,
        options.title,
        options.tokenizer,
        options.description,
        options.license,
        options.others,
    )
