# SPDX-License-Identifier: BSD-2-Clause
"""A keyword spotter from training to a program without Python: TorchScript, traced and scripted, LibTorch and ONNX."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liquid_accel import data
from liquid_accel.shipped import shipped

torch = pytest.importorskip("torch", reason="torch is the optional extra `train`; the walkthrough is written in it")

from torch import nn  # noqa: E402  (needs torch)

from liquid_accel import LTC  # noqa: E402

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "libtorch.cpp"
FRAMES = 49


class KeywordSpottingLTC(nn.Module):
    def __init__(self, input_dim=40, hidden_dim=64, output_dim=2):
        super().__init__()
        # Input projection (e.g., MFCC features)
        self.proj = nn.Linear(input_dim, hidden_dim)
        # One LTC layer; can be stacked for deeper models
        self.ltc = LTC(
            in_features=hidden_dim,
            out_features=hidden_dim,
            activation=torch.tanh,
            tau_activation=torch.nn.functional.softplus,  # ensures positive time constants
        )
        # Classification head
        self.classifier = nn.Linear(hidden_dim, output_dim)

    def forward(self, x, dt=0.01):
        # Project input
        h = torch.tanh(self.proj(x))
        # Run LTC dynamics
        h = self.ltc(h, dt=dt)  # internally solves ODE per timestep
        # Average pooling over time dimension
        h = h.mean(dim=1)
        return self.classifier(h)


class TypedKeywordSpottingLTC(KeywordSpottingLTC):
    """torch.jit.script takes an argument without a type for a tensor, and 0.01 is none."""

    def forward(self, x, dt: float = 0.01):
        h = torch.tanh(self.proj(x))
        h = self.ltc(h, dt=dt)
        h = h.mean(dim=1)
        return self.classifier(h)


class FeaturesAlone(nn.Module):
    """The model with its own spacing: ONNX has no arguments that may be left out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)


@pytest.fixture(scope="module")
def words() -> tuple[Any, Any]:
    """Utterances of two words, 40 features a frame, normalised."""
    given = data.load(shipped("data", "keywords_train.npz"))
    x, y = torch.from_numpy(given.x).float(), torch.from_numpy(np.asarray(given.labels))
    chosen = torch.cat([torch.nonzero(y == word)[:24, 0] for word in (0, 1)])
    x = x[chosen]
    return (x - x.mean((0, 1))) / x.std((0, 1)), y[chosen]


@pytest.fixture(scope="module")
def trained(words: tuple[Any, Any]) -> tuple[Any, list[float]]:
    """The model after the article's loop, and the loss of each epoch."""
    torch.manual_seed(0)
    train_loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*words), batch_size=16, shuffle=True)
    losses = []

    model = KeywordSpottingLTC()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)

    for _epoch in range(30):
        for batch_x, batch_y in train_loader:  # batch_x shape (B, T, 40)
            optimizer.zero_grad()
            logits = model(batch_x)  # default dt=0.01s
            loss = criterion(logits, batch_y)
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    return model.eval(), losses


def test_the_training_loop_learns(trained: tuple[Any, list[float]], words: tuple[Any, Any]) -> None:
    model, losses = trained
    assert sum(losses[-5:]) < 0.75 * sum(losses[:5])
    with torch.no_grad():
        assert float((model(words[0]).argmax(1) == words[1]).float().mean()) > 0.75


@pytest.fixture(scope="module")
def saved(trained: tuple[Any, list[float]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The .pt files: traced as in the article, and scripted."""
    folder, (model, _) = tmp_path_factory.mktemp("pt"), trained
    example_input = torch.randn(1, FRAMES, 40)
    traced = torch.jit.trace(model, example_input)
    traced.save(folder / "kw_spot_ltc.pt")
    typed = TypedKeywordSpottingLTC()
    typed.load_state_dict(model.state_dict())
    torch.jit.script(typed.eval()).save(folder / "scripted.pt")
    assert isinstance(typed.ltc, LTC), "a script leaves the model that it is made of alone"
    return {"traced": folder / "kw_spot_ltc.pt", "scripted": folder / "scripted.pt"}


@pytest.mark.parametrize("kind", ["traced", "scripted"])
def test_a_saved_model_gives_the_same_logits(
    kind: str, saved: dict[str, Path], trained: tuple[Any, Any], words: Any
) -> None:
    back = torch.jit.load(saved[kind])
    torch.testing.assert_close(back(words[0]), trained[0](words[0]), atol=1e-5, rtol=0)


def test_a_script_takes_any_length_and_spacing(saved: dict[str, Path], trained: tuple[Any, Any]) -> None:
    back, x = torch.jit.load(saved["scripted"]), torch.randn(3, 11, 40)
    torch.testing.assert_close(back(x, 0.3), trained[0](x, 0.3), atol=1e-5, rtol=0)
    with pytest.raises(torch.jit.Error, match="dt must be finite and at least 0"):
        back(x, -1.0)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, compiled against the LibTorch that comes with torch."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed; it compiles the example against LibTorch")
    home = Path(torch.__path__[0])
    built = tmp_path_factory.mktemp("libtorch") / "libtorch"
    command = ["g++", "-std=c++20", EXAMPLE, "-o", built, f"-I{home / 'include'}", f"-L{home / 'lib'}"]
    command += [f"-I{home / 'include/torch/csrc/api/include'}", f"-Wl,-rpath,{home / 'lib'}"]
    subprocess.run([*command, "-ltorch", "-ltorch_cpu", "-lc10"], check=True, timeout=300)
    return built


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["traced", "scripted"])
def test_a_program_without_python_gives_the_same_logits(
    kind: str, program: Path, saved: dict[str, Path], trained: tuple[Any, Any]
) -> None:
    x = torch.randn(1, FRAMES, 40)
    text = "\n".join(" ".join(f"{value:.9g}" for value in frame) for frame in x[0].tolist())
    command = [program, saved[kind], str(FRAMES), "40"]
    environment = {"OMP_NUM_THREADS": "1", "PATH": os.defpath}
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, env=environment, timeout=120)
    logits = torch.tensor([float(line) for line in done.stdout.split()])
    torch.testing.assert_close(logits, trained[0](x)[0].detach(), atol=1e-5, rtol=0)
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    assert "libtorch_cpu" in libraries
    assert "python" not in libraries.replace(str(Path(torch.__path__[0]).parent), "")


@pytest.mark.slow
def test_the_program_says_what_is_wrong(program: Path, saved: dict[str, Path], tmp_path: Path) -> None:
    def run(*arguments: object, text: str = "") -> subprocess.CompletedProcess[str]:
        command = [program, *map(str, arguments)]
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)

    assert (done := run()).returncode == 2
    assert "usage" in done.stderr
    assert run(saved["traced"], 0, 40).returncode == 2
    assert (done := run(saved["traced"], 1, 40, text="1 2")).returncode == 2
    assert "expected 40 numbers" in done.stderr
    assert run(tmp_path / "none.pt", 1, 1, text="1").returncode == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_onnx_gives_the_same_logits(trained: tuple[Any, Any], tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package, reason=f"{package}, of the optional extra `test`, is what exports")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime, of the extra `test`, runs what was exported")
    model, x = trained[0], torch.randn(2, 6, 40)
    path = tmp_path / "kw_spot_ltc.onnx"
    torch.onnx.export(model, (x,), path, input_names=["x"], output_names=["logits"], verbose=False)
    (logits,) = runtime.InferenceSession(path).run(None, {"x": x.numpy()})
    np.testing.assert_allclose(logits, model(x).detach().numpy(), atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_onnx_of_a_script_takes_any_batch_and_length(
    saved: dict[str, Path], trained: tuple[Any, Any], tmp_path: Path
) -> None:
    pytest.importorskip("onnx", reason="onnx, of the optional extra `test`, is what exports")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime, of the extra `test`, runs what was exported")
    path, axes = tmp_path / "any.onnx", {"x": {0: "batch", 1: "frames"}}
    script = torch.jit.script(FeaturesAlone(torch.jit.load(saved["scripted"])))
    torch.onnx.export(script, (torch.randn(1, 5, 40),), path, input_names=["x"], dynamic_axes=axes, dynamo=False)
    session = runtime.InferenceSession(path)
    for shape in ((1, 5, 40), (3, 49, 40)):
        x = torch.randn(shape)
        (logits,) = session.run(None, {"x": x.numpy()})
        np.testing.assert_allclose(logits, trained[0](x).detach().numpy(), atol=1e-5)
