"""The page in a real browser: opened, picked with the keyboard, hovered, on a phone's screen; a screenshot is kept in build/."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from bltvs_neuro.report.figures import DARK

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
def page(browser, report):
    browser.set_window_size(1280, 900)
    browser.get(report.as_uri())
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
    assert get("geometry-text").text.startswith("LOC, bottom-up, timestep 2: 24 stimuli, metric correlation.")
    # by keyboard alone: the skip link comes first, then the controls in their order
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert page.switch_to.active_element.text == "Skip to the figures"
    page.switch_to.active_element.send_keys(Keys.TAB)
    assert page.switch_to.active_element.get_attribute("id") == "store"
    assert page.switch_to.active_element.text.splitlines()[0].strip() == "acts.h5 (<m>, untrained weights)"
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
    first = get("figure-2-text").text
    get("figure-2-pick").send_keys("V1, top")
    until(lambda: get("figure-2-text").text != first)
    assert "V1, top-down. Highest" in get("figure-2-text").text
    get("figure-2-table").find_element(By.XPATH, "ancestor::details").click()
    heads = [cell.text for cell in get("figure-2-table").find_elements(By.TAG_NAME, "th")]
    assert heads == ["line", "timestep", "Pearson r", "ci_low", "ci_high", "p_corrected"]
    get("figure-2-table").find_element(By.XPATH, "ancestor::details").find_element(By.TAG_NAME, "summary").click()
    # categories: a bar for each run along both sides, and their key
    assert [item.text for item in get("categories").find_elements(By.TAG_NAME, "li")] == ["<b>place", "face"]
    assert len(page.execute_script("return document.getElementById('rdm').layout.shapes")) == 4
    # every figure has drawn something, and every choice can be drawn
    picks = page.find_elements(By.CSS_SELECTOR, "select[id$='-pick']")
    assert len(picks) == 8
    for pick in picks:
        for at in range(len(pick.find_elements(By.TAG_NAME, "option"))):
            change = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))"
            page.execute_script(change, pick, str(at))
            drawn = page.find_element(By.ID, pick.get_attribute("id").removesuffix("-pick"))
            assert drawn.find_elements(By.CSS_SELECTOR, ".scatterlayer path, .heatmaplayer image"), at
        page.execute_script(change, pick, "0")
    assert page.execute_script("return [...document.querySelectorAll('.pictures img')].every(i => i.naturalWidth > 50)")
    # the brain's RDMs
    get("store").send_keys("brain")
    until(lambda: get("geometry-text").text.startswith("V1, mean of 3 subjects: 24 stimuli"))
    assert get("timestep").get_attribute("disabled") == "true"
    page.execute_script(change, get("store"), "0")
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


def test_names_in_hovers_are_read_as_they_are(page):
    """plotly reads a few entities only, and none for quotes."""
    from selenium.webdriver.common.by import By

    place = page.execute_script(
        "return document.getElementById('mds').data[0].text.findIndex(t => t.startsWith('a&amp;b'))"
    )
    page.execute_script("Plotly.Fx.hover('mds', [{curveNumber: 0, pointNumber: arguments[0]}])", place)
    until(lambda: page.find_elements(By.CSS_SELECTOR, "#mds .hoverlayer .hovertext"))
    assert page.find_element(By.CSS_SELECTOR, "#mds .hoverlayer .hovertext").text == HOSTILE[2]


def test_in_the_dark_the_page_and_its_figures_are_dark(page):
    def dark(value):
        feature = {"name": "prefers-color-scheme", "value": value}
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    ground = "return getComputedStyle(document.body).backgroundColor"
    paper = "return document.getElementById('figure-2').layout.paper_bgcolor"
    line = "return document.getElementById('figure-2').data[0].line.color"
    map_shown = "return document.querySelector('.pictures picture:has(source) img').currentSrc.slice(-400)"
    assert (page.execute_script(ground), page.execute_script(paper)) == ("rgb(255, 255, 255)", "#ffffff")
    light_map = page.execute_script(map_shown)
    try:
        dark("dark")
        until(lambda: page.execute_script(paper) == DARK["#ffffff"])
        assert page.execute_script(ground) == "rgb(20, 22, 26)"
        assert page.execute_script(line) in DARK.values()
        until(lambda: page.execute_script(map_shown) != light_map)
        page.set_window_size(1280, page.execute_script("return document.documentElement.scrollHeight") + 160)
        BUILD.mkdir(exist_ok=True)
        assert page.save_screenshot(str(BUILD / "report-dark.png"))
    finally:
        dark("light")
    until(lambda: page.execute_script(paper) == "#ffffff")


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
