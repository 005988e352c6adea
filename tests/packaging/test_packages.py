"""The package list, the symlinks and the public names agree with the folders."""

import ast
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import ocngame

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OUTSIDE = {"envs": "ocngame.envs", "agents": "ocngame.agents"}


def folders_with_init() -> set[str]:
    """Dotted names of the real folders that are packages; symlinks are not followed."""
    found = set()
    for top, name in {"ocngame": "ocngame", **OUTSIDE}.items():
        for init in (ROOT / top).rglob("__init__.py"):
            parts = init.parent.relative_to(ROOT / top).parts
            if not any(p.is_symlink() for p in init.parents):
                found.add(".".join([name, *parts]))
    return found


def test_package_list_is_the_folders_with_init():
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(folders_with_init())


def test_package_list_has_each_name_once_in_order():
    packages = PROJECT["tool"]["setuptools"]["packages"]
    assert packages == sorted(set(packages))


def test_every_folder_with_modules_is_a_package():
    tops = [ROOT / "ocngame", ROOT / "envs", ROOT / "agents"]
    folders = {module.parent for top in tops for module in top.rglob("*.py")}
    assert [f for f in folders if not (f / "__init__.py").is_file()] == []


@pytest.mark.parametrize("top", OUTSIDE)
def test_outside_folder_is_mapped_and_linked(top):
    assert PROJECT["tool"]["setuptools"]["package-dir"][OUTSIDE[top]] == top
    link = ROOT / "ocngame" / top
    assert link.is_symlink()
    assert link.readlink() == Path("..") / top


@pytest.mark.parametrize("name", PROJECT["tool"]["setuptools"]["packages"])
def test_package_imports_from_this_checkout(name):
    module = import_module(name)
    assert Path(str(module.__file__)).resolve().is_relative_to(ROOT)


def test_public_names_are_importable_and_listed_once():
    for name in ocngame.__all__:
        assert getattr(ocngame, name) is not None
    assert set(ocngame.__all__) <= set(dir(ocngame))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ocngame.nothing


def test_lazy_names_are_the_names_that_type_checkers_see():
    tree = ast.parse((ROOT / "ocngame" / "__init__.py").read_text())
    seen = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == ocngame._EXPORTS
    assert set(ocngame.__all__) == {*seen, "__version__"}
