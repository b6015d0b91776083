# SPDX-License-Identifier: BSD-2-Clause
"""`make fuzz`: a million inputs, made with a view to the code that they reach, for what takes bytes from outside.

Prints a table; 1 if an input crashes its target, hangs it or makes it take more memory than its limit. Such an input is
kept in the folder of the corpus.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

# Inputs of each target in every million; the loader's are the slowest.
SHARES = {"fuzz_image": 0.15, "fuzz_frames": 0.45, "fuzz_link": 0.4}
LENGTH = {"fuzz_image": 1 << 15, "fuzz_frames": 512, "fuzz_link": 1024}
RSS_MB = 512
PATIENCE_S = 120.0  # besides a tenth of a second for each input, which hangs by itself after limits.SECONDS


@dataclass(frozen=True)
class Outcome:
    """What fuzzing one target came to."""

    target: str
    inputs: int
    seconds: float
    coverage: int
    peak_mb: int
    failure: str


def seeds(target: str, folder: Path) -> None:
    """Sound inputs to begin with."""
    if target == "fuzz_image":
        from toys import toy_data, toy_model

        from liquid_accel.compiler import CompileOptions, compile
        from liquid_accel.rtl.config import preset

        small = toy_model(size=4, before=())
        for options in (CompileOptions(steps=1), CompileOptions(solver="etd21", budget=6)):
            image = compile(small, calibration=toy_data(), options=options, config=preset("test"))
            (folder / options.solver).write_bytes(image.to_bytes())
    elif target == "fuzz_frames":
        output, trailer = [0xB004, 1, 2, 3, 4], [0xD000, *range(10)]
        plain = [*output, *trailer, 0xC000, 1, 2, 3, 4, *output, *trailer]
        traced = [0xA001, 5, 6, 7, 0xC000, 1, 2, 3, 4, *output, *trailer, *output]
        for name, head, words in (("plain", 2, plain), ("traced", 9, traced)):
            (folder / name).write_bytes(bytes([head, 3]) + b"".join(w.to_bytes(2, "little") for w in words))
    else:
        from liquid_accel.driver import link_codec

        frames = [link_codec.encode_request(7), link_codec.encode_frame(bytes([7, 0, 0, 1, 0x7E, 0x7D]))]
        (folder / "frames").write_bytes(b"\5" + b"".join(frames))


def fuzz(target: str, inputs: int, seed: int, folder: Path) -> Outcome:
    """Run one target on so many inputs."""
    corpus = folder / target
    corpus.mkdir(parents=True, exist_ok=True)
    seeds(target, corpus)
    command = [
        sys.executable, str(HERE / f"{target}.py"), f"-runs={inputs}", f"-seed={seed}", f"-max_len={LENGTH[target]}",
        f"-rss_limit_mb={RSS_MB}", "-timeout=0", "-print_final_stats=1", f"-artifact_prefix={folder}/{target}-",
        str(corpus),
    ]  # fmt: skip
    begun = time.monotonic()
    log = folder / f"{target}.log"
    with log.open("w") as file:
        try:
            patience = PATIENCE_S + inputs / 10
            status = subprocess.run(command, stdout=file, stderr=file, cwd=HERE, timeout=patience).returncode
        except subprocess.TimeoutExpired:
            status = -1
    text = log.read_text(errors="replace")

    def last(pattern: str) -> int:
        found = re.findall(pattern, text)
        return int(found[-1]) if found else 0

    said = (line for line in text.splitlines() if re.search(r"ERROR: libFuzzer|Error|Exception", line))
    failure = "" if status == 0 else next(said, f"hangs or ends with {status}")
    return Outcome(
        target, last(r"stat::number_of_executed_units:\s+(\d+)"), round(time.monotonic() - begun, 1),
        last(r"\bcov: (\d+)"), last(r"stat::peak_rss_mb:\s+(\d+)"), failure,
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of all targets together (default a million)")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations (default 1)")
    parser.add_argument("--target", choices=tuple(SHARES), action="append", help="only this one; may be repeated")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="corpora and inputs that failed")
    parser.add_argument("--json", action="store_true", help="figures as JSON on stdout")
    options = parser.parse_args()
    outcomes = []
    for target in options.target or SHARES:
        share = SHARES[target] / sum(SHARES[name] for name in options.target or SHARES)
        # A little more than the share: the first inputs are those of the corpus.
        outcomes.append(fuzz(target, round(options.inputs * share) + 1, options.seed, options.folder.resolve()))
        print(f"{target}: {outcomes[-1].inputs:,} inputs", file=sys.stderr)
    if options.json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    else:
        print(f"{'target':12} {'inputs':>10} {'seconds':>8} {'edges':>6} {'peak MB':>8}  outcome")
        for o in outcomes:
            print(f"{o.target:12} {o.inputs:10,} {o.seconds:8.1f} {o.coverage:6} {o.peak_mb:8}  {o.failure or 'sound'}")
        print(f"{'in all':12} {sum(o.inputs for o in outcomes):10,}")
    return int(any(o.failure for o in outcomes))


if __name__ == "__main__":
    sys.exit(main())
