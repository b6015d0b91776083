# SPDX-License-Identifier: BSD-2-Clause
"""`liquid export --c`, and what it writes on a Cortex-M7: the whole test set, against the golden model."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from simulators import need

from liquid_accel.cli import main
from liquid_accel.shipped import shipped

BOARD = Path(__file__).resolve().parents[1] / "cortex_m7"
GCC = ("arm-none-eabi-gcc", "-std=c99", "-O2", "-mcpu=cortex-m7", "-mthumb", "--specs=rdimon.specs", "-nostartfiles")
QEMU = ("qemu-system-arm", "-M", "mps2-an500", "-nographic", "-monitor", "none", "-serial", "none",
        "-semihosting-config", "enable=on,target=native", "-kernel")  # fmt: skip


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped network for Japanese vowels, fused."""
    path = tmp_path_factory.mktemp("export") / "vowels.liquid"
    train = str(shipped("data", "japanese_vowels_train.npz"))
    model = str(shipped("checkpoints", "japanese_vowels.safetensors"))
    assert main(["compile", model, "--data", train, "-o", str(path)]) == 0
    return path


def test_a_cortex_m7_has_the_golden_models_logits(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need("cortex-m7")
    capsys.readouterr()
    test = str(shipped("data", "japanese_vowels_test.npz"))
    assert main(["export", "--c", str(image), str(tmp_path / "vowels"), "--data", test, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["cortex_m7"]
    assert found["state_bytes"] + found["stack_bytes"] <= 8192
    sources = [str(tmp_path / "vowels" / name) for name in ("liquid_model.c", "liquid_model_check.c")]
    program = str(tmp_path / "vowels.elf")
    board = ("-T", str(BOARD / "memory.ld"), str(BOARD / "startup.c"))
    subprocess.run([*GCC, *board, *sources, "-o", program], check=True)
    done = subprocess.run([*QEMU, program], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert (done.stdout, done.returncode) == ("5687 frames are the golden model's\n", 0), done.stderr


def test_without_the_compiler_it_says_so(image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                         monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(shutil, "which", lambda name, *_: None)
    capsys.readouterr()
    assert main(["export", "--c", str(image), str(tmp_path / "vowels")]) == 0
    text = capsys.readouterr().out
    assert "arm-none-eabi-gcc is not there" in text and "liquid_model.c" in text


@pytest.mark.parametrize("what", ["no image", "no folder", "other data", "no --c"])
def test_bad_input(what: str, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "model"
    (tmp_path / "file").write_text("")
    arguments = {
        "no image": ["--c", str(tmp_path / "missing.liquid"), str(folder)],
        "no folder": ["--c", str(image), str(tmp_path / "file" / "model")],
        "other data": ["--c", str(image), str(folder), "--data", str(shipped("data", "keywords_test.npz"))],
        "no --c": [str(image), str(folder)],
    }[what]
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main(["export", *arguments]))
    said = capsys.readouterr().err
    assert ended.value.code == 2 and len(said.strip().splitlines()) == 1 and "Traceback" not in said, said
    assert not folder.exists()
