# SPDX-License-Identifier: BSD-2-Clause
"""The house: who imports whom, what an import costs, and what stands at the head of every file."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"host": (), "rtl": ("rtl",), "sim": ("sim",), "boards": ("boards",)}

TABLES = ("rtl.config", "rtl.isa", "rtl.registers", "rtl.formats", "rtl.tableaus", "rtl.transport", "rtl.link")
# The host's own tables, so to say: files, their checks and the errors that users read.
FILES = (
    "errors", "version", "shipped", "checkpoint", "description", "layers", "stack", "data", "image", "files",
    "image_check", "image_fields", "image_program",
)  # fmt: skip
EVERYTHING = ("",)

# The float reference: its own files, side by side.
REFERENCE = tuple(f"sim.{path.stem}" for path in sorted((ROOT / "sim").glob("reference*.py")))

# Module or package: what it may import, itself included where it is a package. The longest name that fits decides.
RULES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(TABLES, ()),
    "rtl.disassembly": ("rtl.isa",),  # a view of the instruction table
    "rtl": ("rtl",),
    "sim": ("rtl", "sim.bus", "sim.cache", "sim.cxxrtl", "sim.cxxrtl_build", "sim.elaborate", "sim.pysim", "sim.chip"),
    "sim.golden": (*TABLES, "sim.golden"),
    **dict.fromkeys(REFERENCE, (*TABLES, *FILES, *REFERENCE)),
    "boards": ("rtl", "boards"),
    **dict.fromkeys(FILES, (*TABLES, "rtl.disassembly", *FILES)),
    "clib": (*TABLES, *FILES),
    "models": (*TABLES, *FILES, "models"),
    "ncps": (*TABLES, *FILES, "models", "ncps", "sim.cache"),  # where what it compiles is kept
    "compiler": (*TABLES, *FILES, "compiler"),
    # Formats are calibrated, and costs of adaptive programs predicted, by running the models of the machine.
    **{f"compiler.{name}": (*TABLES, *FILES, "compiler", "sim.golden", "sim.reference", "sim.reference_solvers")
       for name in ("formats", "backend", "predict")},
    "driver": (*TABLES, *FILES, "driver"),
    # The one place that knows what can stand behind a transport.
    "driver.targets": (*TABLES, *FILES, "driver", "sim"),
    "aio": (*TABLES, *FILES, "driver"),
    "importer": (*TABLES, *FILES, "importer", "sim.reference"),  # what was imported is tried on data
    "export": (*TABLES, *FILES, "export", "driver.frames"),
    "export.check": (*TABLES, *FILES, "export", "driver", "sim.golden"),  # the answers are the golden model's
    **dict.fromkeys(("", "bench", "cli", "demo", "timeline", "training", "evaluate", "waves", "widths",
                     "pytest_plugin"), EVERYTHING),
}  # fmt: skip


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package: its name without the leading liquid_accel, and its file."""
    for folder, prefix in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = [*prefix, *path.relative_to(ROOT / folder).with_suffix("").parts]
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def imports(name: str, path: Path) -> Iterator[str]:
    """Our own modules that a module imports, wherever in it, but for annotations alone."""
    tree = ast.parse(path.read_text())
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for part in node.body
        for inner in ast.walk(part)
    }
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package[: len(package) - node.level + 1]
                base = ".".join(["liquid_accel", *above, *([base] if base else [])]).replace("..", ".")
            targets = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for target in targets:
            if target == "liquid_accel" or target.startswith("liquid_accel."):
                inside = target.removeprefix("liquid_accel").removeprefix(".")
                while inside and inside not in MODULES:
                    inside = inside.rpartition(".")[0]
                if inside:
                    yield inside


def within(name: str, package: str) -> bool:
    return package == "" or name == package or name.startswith(package + ".")


def allowed(name: str) -> tuple[str, ...]:
    return RULES[max((rule for rule in RULES if within(name, rule)), key=len)]


def test_imports_point_the_way_that_the_design_draws() -> None:
    wrong = []
    for name, path in MODULES.items():
        for target in imports(name, path):
            # A package's own __init__ comes with each of its modules and must be empty of imports, or allowed itself.
            if target not in ("rtl", "sim") and not any(within(target, may) for may in allowed(name)):
                wrong.append(f"{path.relative_to(ROOT)} imports {target}; it may import {', '.join(allowed(name))}")
    assert not wrong, "\n".join(sorted(set(wrong)))


@pytest.mark.parametrize("package", ["rtl", "sim"])
def test_packages_that_come_with_every_table_import_nothing(package: str) -> None:
    assert not list(imports(package, MODULES[package]))


@pytest.mark.parametrize("table", TABLES)
def test_tables_carry_no_gateware(table: str) -> None:
    if table not in MODULES:
        pytest.fail(f"{table} is missing")
    text = MODULES[table].read_text()
    heavy = [n for n in ("amaranth", "torch", "matplotlib", "scipy") if f"import {n}" in text or f"from {n}" in text]
    assert not heavy


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["liquid_accel", "liquid_accel.cli", "liquid_accel.driver", "liquid_accel.image"])
def test_an_import_brings_nothing_heavy(module: str) -> None:
    heavy = "{'torch', 'matplotlib', 'amaranth', 'scipy'}"
    assert python(f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))") == "[]"


def test_the_import_takes_less_than_three_tenths_of_a_second() -> None:
    code = "import time; t = time.process_time(); import liquid_accel; print(time.process_time() - t)"
    assert min(float(python(code)) for _ in range(3)) < 0.3


def test_every_source_file_names_its_licence() -> None:
    places = [ROOT / folder for folder in (*FOLDERS, "tests")]
    files = [p for place in places for kind in ("*.py", "*.cpp", "*.c", "*.h", "*.v") for p in place.rglob(kind)]
    lacking = []
    for path in [*files, ROOT / "setup.py", ROOT / "Makefile", ROOT / ".ci" / "run"]:
        head = path.read_text().splitlines()[:2]
        if not any(line.removesuffix(" */").endswith("SPDX-License-Identifier: BSD-2-Clause") for line in head):
            lacking.append(str(path.relative_to(ROOT)))
    assert not lacking, f"no SPDX header: {', '.join(sorted(lacking))}"


def test_files_stay_short() -> None:
    long = {str(p.relative_to(ROOT)): n for p in MODULES.values() if (n := len(p.read_text().splitlines())) > 400}
    assert not long, f"past 400 lines, each a place to cut: {long}"


# What takes a signal from one clock to another, or makes a clock, and where each may stand: pins, resets, a board's
# clock, and the simulator that drives one. Everything else is in one domain.
CROSSINGS = {
    "rtl/crossing.py": {"FFSynchronizer"},
    "rtl/reset.py": {"ClockDomain", "ClockSignal", "ResetSynchronizer"},
    "rtl/vendor_ice40.py": {"ClockSignal"},
    "rtl/vendor_ecp5.py": {"ClockSignal", "ResetSignal"},
    "rtl/vendor_gowin.py": {"ClockSignal", "ResetSignal"},
    # A module in Verilog, handed the clock.
    "rtl/named_accelerator.py": {"ClockSignal", "ResetSignal"},
    "boards/clocking.py": {"ClockDomain", "ClockSignal", "ResetSignal"},
    "sim/pysim.py": {"ClockDomain"},
}
CLOCKED = (
    "FFSynchronizer", "AsyncFFSynchronizer", "ResetSynchronizer", "PulseSynchronizer", "AsyncFIFO", "AsyncFIFOBuffered",
    "ClockDomain", "ClockSignal", "ResetSignal", "DomainRenamer",
)  # fmt: skip


def test_clocks_are_crossed_and_made_only_where_it_is_said() -> None:
    wrong = []
    for path in (p for folder in ("rtl", "sim", "boards") for p in sorted((ROOT / folder).rglob("*.py"))):
        name, tree = path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())
        used = {node.id if isinstance(node, ast.Name) else node.attr for node in ast.walk(tree)
                if isinstance(node, ast.Name | ast.Attribute)}  # fmt: skip
        wrong += [f"{name} uses {what}" for what in sorted(used & set(CLOCKED) - CROSSINGS.get(name, set()))]
        # m.d.sync and m.d.comb are all there is outside of those files.
        domains = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
                   and isinstance(node.value, ast.Attribute) and node.value.attr == "d"}  # fmt: skip
        if name not in CROSSINGS:
            wrong += [f"{name} is in domain {domain}" for domain in sorted(domains - {"sync", "comb"})]
    assert not wrong, "\n".join(wrong)
