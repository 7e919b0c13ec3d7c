"""The pages of docs/ that are made from the code are up to date, and what pages name is there."""

import importlib.util
import re

import pytest
from conftest import CHECKOUT

DOCS = CHECKOUT / "docs"


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["competition-file.md", "api.md"])
def test_a_generated_page_is_up_to_date(generate, name):
    assert (DOCS / name).read_text(encoding="utf-8") == generate.pages()[name], "run: python docs/generate.py"


def test_every_key_of_a_competition_file_is_explained(generate):
    page = generate.pages()["competition-file.md"]
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `"):
            assert all(cells), line


PAGES = sorted([*DOCS.glob("*.md"), *CHECKOUT.glob("*.md"), CHECKOUT / "data" / "README.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`(?:\.\./)*((?:actionpipe|benchmarks|docs|tests)/[\w./-]*)`", text)
    linked = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    missing = [path for path in named if not (CHECKOUT / path).exists()]
    missing += [path for path in linked if not (page.parent / path).exists()]
    assert not missing
