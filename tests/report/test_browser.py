"""The page in a real browser: opened, picked with the keyboard, hovered, on a phone's screen; a screenshot is kept in build/."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from bltvs_neuro.report import write_report

from .conftest import HOSTILE

pytestmark = pytest.mark.browser
BUILD = Path(__file__).parents[2] / "build"
CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not (CHROMIUM and DRIVER):
        if os.environ.get("BLTVS_REQUIRE_BROWSER"):
            pytest.fail("no chromium and chromedriver on the PATH (Debian: apt-get install chromium chromium-driver)")
        pytest.skip("no chromium and chromedriver on the PATH")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
        "--window-size=1280,900", f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, files, tmp_path):
    browser.set_window_size(1280, 900)
    path = write_report(files.all, tmp_path / "report.html", stimuli=files.stimuli, title="A report")
    browser.get(path.as_uri())
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready") == "true")
    return browser


def until(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the page did not get there"
        time.sleep(0.02)


def test_a_reader_picks_hovers_and_reads(page):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    def get(name):
        return page.find_element(By.ID, name)

    assert page.get_log("browser") == []
    assert (
        page.execute_script(
            "return performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length"
        )
        == 0
    )
    assert get("geometry-text").text.startswith("V1, bottom-up, timestep 2: 24 stimuli, metric correlation.") or get(
        "geometry-text"
    ).text.startswith("LOC, bottom-up, timestep 2: 24 stimuli")
    # by keyboard alone: the skip link comes first, then the controls in their order
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert page.switch_to.active_element.text == "Skip to the figures"
    page.switch_to.active_element.send_keys(Keys.TAB)
    assert page.switch_to.active_element.get_attribute("id") == "area"
    page.switch_to.active_element.send_keys("V1")
    until(lambda: get("geometry-text").text.startswith("V1, bottom-up, timestep 2"))
    page.switch_to.active_element.send_keys(Keys.TAB)
    page.switch_to.active_element.send_keys("top")
    until(lambda: get("geometry-text").text.startswith("V1, top-down, timestep 2"))
    page.switch_to.active_element.send_keys(Keys.TAB)
    before = page.execute_script("return document.getElementById('rdm').data[0].z[0][1]")
    page.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    until(lambda: get("geometry-text").text.startswith("V1, top-down, timestep 1"))
    assert get("timestep").get_attribute("aria-valuetext") == "timestep 1"
    assert page.execute_script("return document.getElementById('rdm').data[0].z[0][1]") != before
    outline = page.execute_script("return getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "3px"
    # the mouse: a cell of the matrix shows its two stimuli
    cells = page.find_element(By.CSS_SELECTOR, "#rdm .nsewdrag")
    ActionChains(page).move_to_element(cells).move_by_offset(3, -40).perform()
    until(lambda: get("first").get_attribute("value") not in ("", "0"))
    i, j = int(get("first").get_attribute("value")), int(get("second").get_attribute("value"))
    z = page.execute_script(f"return document.getElementById('rdm').data[0].z[{i}][{j}]")
    assert get("pair-text").text.endswith(f": {z:.3f}")
    assert get("first-picture").get_attribute("src").startswith("data:image/jpeg")
    assert page.execute_script("return document.getElementById('first-picture').naturalWidth") > 0
    # the arrangement shows a picture for every stimulus
    assert len(page.find_elements(By.CSS_SELECTOR, "#mds image")) == 24
    # scores: another choice, and the table
    first = get("figure-1-text").text
    get("figure-1-pick").send_keys("roi V1, top")
    until(lambda: get("figure-1-text").text != first)
    assert "with roi V1, top-down" in get("figure-1-text").text
    get("figure-1-table").find_element(By.XPATH, "ancestor::details").click()
    heads = [cell.text for cell in get("figure-1-table").find_elements(By.TAG_NAME, "th")]
    assert heads == ["area", "timestep", "score", "ci_low", "ci_high"]
    assert page.get_log("browser") == []
    page.set_window_size(1280, page.execute_script("return document.documentElement.scrollHeight") + 160)
    BUILD.mkdir(exist_ok=True)
    assert page.save_screenshot(str(BUILD / "report.png"))
    assert (BUILD / "report.png").stat().st_size > 20_000


def test_hostile_names_are_text(page):
    from selenium.webdriver.common.by import By

    assert page.execute_script("return window.pwned") is None
    page.find_element(By.ID, "first").send_keys(HOSTILE[0][:6])
    assert HOSTILE[0] in page.find_element(By.ID, "pair-text").text
    assert page.execute_script("return document.querySelectorAll('main script, main img[src=x]').length") == 0
    assert page.execute_script("return window.pwned") is None


def test_a_phone_needs_no_sideways_scrolling_and_everything_has_a_name(page):
    page.set_window_size(500, 900)  # chromium's least
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", dict(width=360, height=740, deviceScaleFactor=2, mobile=True)
    )
    try:
        page.refresh()
        until(lambda: page.execute_script("return document.documentElement.dataset.ready") == "true")
        wide = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        until(lambda: page.execute_script(wide)[1] == 360)
        assert page.execute_script(wide) == [360, 360]
        nameless = """return [
            ...[...document.querySelectorAll('select, input:not([type=hidden])')].filter(e => !e.labels.length),
            ...[...document.querySelectorAll('[role=img]')].filter(e => !e.getAttribute('aria-label')),
            ...[...document.querySelectorAll('img:not([hidden])')].filter(e => !e.alt),
        ].map(e => e.outerHTML.slice(0, 200))"""
        assert page.execute_script(nameless) == []
        small = """return [...document.querySelectorAll('select, summary, input[type=range]')]
            .filter(e => e.offsetHeight < 43).length"""
        assert page.execute_script(small) == 0
        BUILD.mkdir(exist_ok=True)
        page.save_screenshot(str(BUILD / "report-phone.png"))
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
