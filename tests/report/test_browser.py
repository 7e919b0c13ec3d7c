"""The page in a real browser, from disk: no request, no error, no overflow, and the numbers of the tables."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_report import CLASSES, EVIL, VIDEOS, competition, fill

from actionpipe.report import words
from actionpipe.report.page import TITLES
from actionpipe.report.write_report import write_report
from actionpipe.storage.workspace import Workspace

WIDTHS = (320, 1280)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = fill(tmp_path_factory.mktemp("whole") / "data", tuned=True)
    write_report(Workspace(root), competition())
    return root


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((path for path in map(shutil.which, names) if path), None)
    if program is None:
        pytest.skip(f"no browser to open the page with: none of {', '.join(names)} is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Opened:
    """The report in a tab, and what went wrong in it."""

    def __init__(self, browser: Any, path: Path, **context: Any) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.route("**/*", self._look_at)
        self.page.goto(path.as_uri())

    def _look_at(self, route: Any) -> None:
        if route.request.url.startswith(("file:", "data:")):
            route.continue_()
        else:
            self.requests.append(route.request.url)
            route.abort()

    def background(self) -> str:
        return str(self.page.evaluate("getComputedStyle(document.body).backgroundColor"))

    def text(self, selector: str) -> list[str]:
        return [text.strip() for text in self.page.locator(selector).all_inner_texts()]


@pytest.fixture
def opened(browser: Any, data: Path) -> Iterator[Opened]:
    tab = Opened(browser, data / "results/report.html", viewport={"width": 1280, "height": 900}, color_scheme="light")
    yield tab
    tab.context.close()


def table(data: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(data / f"results/report/{name}.csv", keep_default_na=False, na_values=[""])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_from_disk_without_errors_requests_or_overflow(
    browser: Any, data: Path, width: int, scheme: str
) -> None:
    size = {"width": width, "height": 800}
    tab = Opened(browser, data / "results/report.html", viewport=size, color_scheme=scheme)
    assert tab.text("main section h2") == list(TITLES.values())
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    outside = tab.page.evaluate(
        "width => [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, .skip, .hidden')"
        " && e.getBoundingClientRect().right > width + 0.5).map(e => e.outerHTML.slice(0, 80))",
        width,
    )
    assert outside == []
    levels = tab.page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(e => Number(e.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert tab.page.evaluate("[...document.images].every(image => image.alt)")
    light = sum(int(part) for part in tab.background().removeprefix("rgb(").removesuffix(")").split(",")) > 380
    assert light == (scheme == "light")
    assert (tab.errors, tab.requests) == ([], [])
    tab.context.close()


def test_an_empty_page_fits_a_phone_too(browser: Any, tmp_path: Path) -> None:
    *_, path = write_report(Workspace(tmp_path), competition())
    tab = Opened(browser, path, viewport={"width": 320, "height": 800})
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 320
    assert tab.page.locator(".missing").count() == len(TITLES)
    assert (tab.errors, tab.requests) == ([], [])
    tab.context.close()


def test_numbers_are_those_of_the_tables(opened: Opened, data: Path) -> None:
    headline = table(data, "headline").set_index("name")["value"]
    assert opened.text("#figure") == [words.figure(headline["macro_f1"])]
    others = [name for name in headline.index if name in words.metric_names() and name != "macro_f1"]
    assert opened.text("#headline tbody td") == [words.figure(headline[name]) for name in others]
    tiles = [headline[name] for name in ("clips", "folds", "submission_rows", "unreadable_test_videos")]
    assert opened.text("#headline .tiles dd") == [words.whole(value) for value in tiles]

    confusion = table(data, "confusion")
    cells = opened.page.evaluate(
        "[...document.querySelectorAll('#confusion tbody td[data-tip]')].map(e => Number(e.firstChild.textContent))"
    )
    assert cells == confusion["clips"].tolist()
    classes = table(data, "classes")
    shown = [
        words.figure(value)
        for row in classes[["precision", "recall", "f1", "average_precision"]].to_numpy(float)
        for value in row
    ]
    assert opened.text("#classes tbody td:not(.n)") == shown
    ladder = table(data, "ladder")
    assert opened.text("#ladder tbody td:nth-child(2)") == [words.figure(value) for value in ladder["metric"]]
    assert opened.text("#ladder tbody td:nth-child(3)") == [
        f"{words.figure(low)} to {words.figure(high)}" for low, high in zip(ladder["low"], ladder["high"], strict=True)
    ]
    board = table(data, "leaderboard")
    assert opened.text("#leaderboard tbody td:nth-child(3)") == [words.signed(value) for value in board["gain"]]
    folds = table(data, "folds")
    assert opened.text("#folds tfoot tr:first-child td") == [words.whole(value) for value in folds["clips"]]
    timings = table(data, "timings")
    assert opened.text("#timings tbody td.n") == [words.duration(value) for value in timings["seconds"]]
    detection = table(data, "detection")
    assert opened.text("#detection tbody td:last-child") == [words.figure(value) for value in detection["ap50"]]
    filled = table(data, "calibration").query("clips > 0")
    assert opened.text("#calibration tbody td:nth-child(4)") == [words.figure(value) for value in filled["accuracy"]]
    mistakes = table(data, "mistakes")
    named = opened.text("#mistakes h3")
    assert named == [f"{rank}. {video}" for rank, video in zip(mistakes["rank"], mistakes["video"], strict=True)]


def test_links_lead_to_tables_that_are_there(opened: Opened, data: Path) -> None:
    addresses = opened.page.evaluate("[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")
    inside = [address for address in addresses if address.startswith("#")]
    assert all(opened.page.locator(address).count() == 1 for address in inside)
    files = [address for address in addresses if not address.startswith("#")]
    assert "final.csv" in files
    assert all((data / "results" / address).is_file() for address in files)


def test_evil_names_are_shown_as_text(opened: Opened) -> None:
    assert opened.page.title() == "toy: report"
    assert EVIL in " ".join(opened.text("#classes tbody th"))
    assert EVIL in " ".join(opened.text("#leaderboard tbody th"))
    assert f"rule 1: {EVIL}" in opened.text("#ladder tbody th")
    assert "ensemble\ncompared to best member alone" in opened.text("#ladder tbody th")
    opened.page.locator("#confusion tbody td[data-tip]").last.hover()
    assert f"labelled {CLASSES[2]}" in opened.text("#tip")[0]
    assert opened.page.locator("#tip *").count() == opened.page.locator("#tip > div").count()
    assert VIDEOS[3] in opened.text("#videos tbody th")


def test_the_button_turns_dark_and_it_is_kept(opened: Opened) -> None:
    before = opened.background()
    opened.page.locator("#theme").click()
    after = opened.background()
    assert after != before
    assert opened.page.locator("#theme").get_attribute("aria-label") == "Switch to light colours"
    opened.page.reload()
    assert opened.background() == after
    assert opened.errors == []


def test_values_can_be_read_with_pointer_and_keys(opened: Opened, data: Path) -> None:
    points = table(data, "curves").query("model == 'one' and curve == 'macro_f1' and fold == 0")
    chart = opened.page.locator("#curves svg").nth(1)
    chart.focus()
    last = points.iloc[-1]
    assert f"fold 0: {words.figure(last['value'])} at epoch {last['epoch']:g}" in opened.text("#tip")[0]
    opened.page.keyboard.press("ArrowLeft")
    before = points.iloc[-2]
    assert f"fold 0: {words.figure(before['value'])} at epoch {before['epoch']:g}" in opened.text("#tip")[0]
    chart.hover()
    assert "fold 1" in opened.text("#tip")[0]
    cell = opened.page.locator("#confusion tbody td[data-tip]").first
    cell.focus()
    count = table(data, "confusion").iloc[0]
    assert opened.text("#tip")[0].startswith(f"{count['clips']} of {count['truth']}")
    opened.page.keyboard.press("ArrowRight")
    assert f"labelled {CLASSES[1]}" in opened.text("#tip")[0]
    opened.page.keyboard.press("Escape")
    assert opened.page.locator("#tip").is_hidden()
    bar = opened.page.locator("#calibration g[data-tip]").first
    bar.hover()
    assert "mean confidence" in opened.text("#tip")[0]
    assert opened.errors == []
