"""The house's arrows: which layer may import which, and what a light command never loads."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "phonebook"

# each layer with what it may import of ours, beside itself
ARROWS = {
    "share": set(),
    "beside": set(),
    "wire": set(),
    "settings": {"wire"},
    "directory": {"settings", "share", "beside"},
    "search": {"directory", "beside"},
    "service": {"wire", "directory", "search", "beside"},
    "store": {"service", "directory", "beside", "__init__"},
    "server": {"store", "service", "wire", "directory"},
    "client": {"wire"},
    "conformance": {"share"},
}
ANYTHING = {"cli", "__main__", "__init__"}

NO_TWISTED = {"wire", "settings", "directory", "search", "service", "store", "conformance"}
NO_YAML = {"wire", "settings", "search", "service", "store", "client", "server"}

POSIX_ONLY = "fcntl pwd grp resource termios tty pty syslog posix crypt spwd nis ossaudiodev"


def layer(path: Path) -> str:
    """Return the layer that a source file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield every module that a source file imports, anywhere in it, with the line."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            assert node.module is not None
            if node.module == "phonebook":
                for name in node.names:
                    yield node.lineno, f"phonebook.{name.name}"
            else:
                yield node.lineno, node.module


SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "_share" not in path.parts)


def test_every_layer_is_known() -> None:
    assert {layer(path) for path in SOURCES} <= ARROWS.keys() | ANYTHING


@pytest.mark.parametrize("name", ARROWS)
def test_arrows(name: str) -> None:
    wrong = []
    for path in SOURCES:
        if layer(path) != name:
            continue
        for line, module in imports(path):
            top, *rest = module.split(".")
            if top == "phonebook" and rest and rest[0] not in ARROWS[name] | {name}:
                wrong.append(f"{path}:{line}: {name} imports {module}")
            if (top == "twisted" and name in NO_TWISTED) or (top == "yaml" and name in NO_YAML):
                wrong.append(f"{path}:{line}: {name} imports {module}")
    assert not wrong, "\n".join(wrong)


def run(code: str) -> str:
    """Run code in a fresh interpreter and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


LOADED = "print(*sorted({'twisted', 'yaml', 'asyncio'} & set(sys.modules)))"


def test_wire_is_light() -> None:
    assert run(f"import sys, phonebook.wire; {LOADED}") == ""


def test_help_is_light() -> None:
    code = (
        "import sys, io, contextlib\n"
        "from phonebook.cli.main import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    main(['--help'])\n"
    )
    assert run(code + LOADED) == ""


# `posix` is what os itself is made of, and is loaded before any line of ours
HIDE = f"""
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in {set(POSIX_ONLY.split())!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}} here', name=name)

for name in {set(POSIX_ONLY.split()) - {"posix"}!r}:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    "module",
    [
        "phonebook.wire",
        "phonebook.client",
        "phonebook.client.blocking",
        "phonebook.cli.main",
        "phonebook.cli.lookup",
        "phonebook.cli.output",
        "phonebook.cli.check",
        "phonebook.cli.init",
        "phonebook.cli.port",
        "phonebook.directory.load",
        "phonebook.conformance.command",
        "phonebook.conformance.run",
    ],
)
def test_without_posix(module: str) -> None:
    run(f"{HIDE}\nimport {module}")


def test_no_posix_import_in_portable_sources() -> None:
    """Nothing that other systems run names a POSIX-only module, however deep in a function."""
    portable = {"wire", "settings", "directory", "client", "conformance", "share", "beside"}
    posix = set(POSIX_ONLY.split())
    wrong = [
        f"{path}:{line}: {module}"
        for path in SOURCES
        if layer(path) in portable
        for line, module in imports(path)
        if module.split(".")[0] in posix
    ]
    assert not wrong, "\n".join(wrong)


def test_tiny_server_is_tiny() -> None:
    text = (Path(__file__).parent / "tiny_server.py").read_text("utf-8")
    assert text.count("\n") <= 300
    names = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
