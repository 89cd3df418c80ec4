"""The report in headless Chromium, opened from a file: what a reader chooses is what is drawn."""

from __future__ import annotations

import itertools
import math
import runpy
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from stainscript.stages.write_report import write_report

pytestmark = pytest.mark.browser

INPUTS = runpy.run_path(str(Path(__file__).parents[1] / "report" / "inputs.py"))
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--force-device-scale-factor=1",
)
RIDGE, MLP = "toy.log.ridge.morphology", "toy.log.mlp.morphology"
CANVASES = ("map-measured", "map-predicted", "map-residual")


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> str:
    """The address of a report of the tiny inputs."""
    folder = tmp_path_factory.mktemp("report")
    write_report(**INPUTS["write_inputs"](folder / "in"), out=folder / "report.html")
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser(require_tool, tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = require_tool("chromium")
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(executable_path=require_tool("chromedriver")))
    driver.set_window_size(1280, 900)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, report):
    """The report, freshly opened; afterwards nothing may stand on the console."""
    browser.get("about:blank")
    browser.get(report)
    drawn(browser, slide="A1", gene="ERBB2", experiment=RIDGE)
    yield browser
    assert errors(browser) == []


def errors(page) -> list[str]:
    """What stands on the console, but for advice about how this test reads pixels back."""
    return [entry["message"] for entry in page.get_log("browser") if "willReadFrequently" not in entry["message"]]


def drawn(page, **wanted) -> None:
    """Wait until the maps show ``wanted`` (slide, gene, experiment)."""
    script = "return Object.fromEntries(new URLSearchParams(document.body.dataset.drawn ?? ''))"
    WebDriverWait(page, 10).until(lambda p: wanted.items() <= p.execute_script(script).items())


def choose(page, name: str, text: str) -> None:
    Select(page.find_element(By.ID, f"map-{name}")).select_by_visible_text(text)


def pixels(page) -> dict[str, int]:
    """A checksum of each map's pixels."""
    script = """
      const canvas = document.getElementById(arguments[0]);
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      return data.reduce((sum, value, n) => (sum * 31 + value + n) % 2147483647, 7);
    """
    return {name: page.execute_script(script, name) for name in CANVASES}


def pixel_at(page, canvas: str, x_um: float, y_um: float) -> list[int]:
    """RGB at a position of the whole slide, which must be what is shown."""
    script = """
      const canvas = document.getElementById(arguments[0]);
      const scale = canvas.width / 2000;
      const [x, y] = [arguments[1] * scale, arguments[2] * scale];
      return [...canvas.getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3);
    """
    return page.execute_script(script, canvas, x_um, y_um)


def set_up_whole_slide(page) -> None:
    """Show the whole slide with opaque spots."""
    page.find_element(By.ID, "map-whole").click()
    script = "const e = document.getElementById('map-opacity'); e.value = 100; e.dispatchEvent(new Event('input'))"
    page.execute_script(script)
    WebDriverWait(page, 10).until(
        lambda p: p.execute_script("return document.getElementById('map-measured').height") == 380
    )


def readout(page) -> str:
    return page.find_element(By.ID, "map-pcc").text


def test_each_choice_redraws_the_maps_and_prints_its_pcc(page):
    before = pixels(page)
    assert readout(page).startswith(f"PCC {INPUTS['pcc']('ridge', 'A1')[0]:.3f} · ERBB2 on A1 (patient A)")
    choose(page, "gene", "GNAS")
    drawn(page, gene="GNAS")
    gene = pixels(page)
    assert all(gene[name] != before[name] for name in CANVASES)
    assert readout(page).startswith(f"PCC {INPUTS['pcc']('ridge', 'A1')[2]:.3f} · GNAS")
    choose(page, "experiment", "mlp, morphology")
    drawn(page, gene="GNAS", experiment=MLP)
    experiment = pixels(page)
    assert experiment["map-measured"] == gene["map-measured"]
    assert experiment["map-predicted"] != gene["map-predicted"]
    assert experiment["map-residual"] != gene["map-residual"]
    assert readout(page).startswith("PCC −1.000 · GNAS on A1")
    choose(page, "slide", "B1")
    drawn(page, slide="B1", gene="GNAS", experiment=MLP)
    assert pixels(page)["map-predicted"] != experiment["map-predicted"]
    assert "GNAS on B1 (patient B), mlp, morphology, protocol log, fold 1, seed 0, 12 spots" in readout(page)


def test_a_constant_prediction_has_an_undefined_pcc(page):
    choose(page, "experiment", "mean")
    drawn(page, experiment="toy.log.mean.none")
    assert readout(page).startswith("PCC undefined")


def test_spots_lie_where_they_were_measured_with_their_diameter_and_colour(page):
    set_up_whole_slide(page)
    first, last = page.execute_script("return [SEQUENTIAL[0], SEQUENTIAL[255]]")
    assert pixel_at(page, "map-measured", 400, 300) == first  # ERBB2 rises with x
    assert pixel_at(page, "map-measured", 1600, 700) == last
    background = pixel_at(page, "map-measured", 1000, 400)
    assert pixel_at(page, "map-measured", 1600 - 42, 700) == last  # inside the radius of 50 µm
    assert pixel_at(page, "map-measured", 1600 - 60, 700) == background
    choose(page, "gene", "FASN")
    drawn(page, gene="FASN")
    assert pixel_at(page, "map-measured", 1600, 300) == first  # FASN rises with y
    assert pixel_at(page, "map-measured", 400, 700) == last


def test_the_residual_is_predicted_minus_measured_on_a_symmetric_scale(page):
    set_up_whole_slide(page)
    choose(page, "experiment", "oracle")
    drawn(page, experiment="toy.log.oracle.none")
    middle = page.execute_script("return DIVERGING[128]")
    assert pixel_at(page, "map-residual", 400, 300) == middle
    choose(page, "experiment", "ridge, morphology")
    drawn(page, experiment=RIDGE)
    assert pixel_at(page, "map-residual", 400, 700) == page.execute_script("return DIVERGING[255]")  # y is largest
    ticks = [span.text for span in page.find_elements(By.CSS_SELECTOR, "#bar-residual .ticks span")]
    assert ticks == ["−1.75", "0", "1.75"]


def test_measured_and_predicted_share_a_scale_until_the_reader_parts_them(page):
    def ticks(name: str) -> list[str]:
        return [span.text for span in page.find_elements(By.CSS_SELECTOR, f"#bar-{name} .ticks span")]

    assert ticks("measured") == ticks("predicted") == ["1", "2.5", "4"]
    unit = page.find_element(By.CSS_SELECTOR, "#bar-predicted .unit")
    assert unit.text == "log1p; 5 spots outside this range"
    page.find_element(By.ID, "map-stretch").click()
    assert ticks("measured") == ["1", "2.5", "4"]
    assert ticks("predicted") == ["1.75", "3.75", "5.75"]
    assert unit.text == "log1p"


def test_transparent_spots_leave_the_tissue_alone(page):
    set_up_whole_slide(page)
    script = "const e = document.getElementById('map-opacity'); e.value = 0; e.dispatchEvent(new Event('input'))"
    page.execute_script(script)
    tissue = pixel_at(page, "map-measured", 1000, 400)
    WebDriverWait(page, 10).until(lambda p: pixel_at(p, "map-measured", 1600, 700) == tissue)


def test_pointing_at_a_spot_tells_its_values(page):
    set_up_whole_slide(page)
    script = """
      const canvas = document.getElementById("map-predicted");
      const box = canvas.getBoundingClientRect();
      const [clientX, clientY] = [box.left + (box.width * 1195) / 2000, box.top + (box.height * 505) / 1000];
      canvas.dispatchEvent(new MouseEvent("mousemove", { clientX, clientY }));
      return document.getElementById("map-spot").textContent;
    """
    told = page.execute_script(script)
    assert told == "Spot at x 1200 µm, y 500 µm: measured 3, predicted 4.25, residual 1.25"


def test_a_view_can_be_linked_and_the_address_follows_the_choice(browser, report):
    browser.get("about:blank")
    browser.get(f"{report}#slide=B1&gene=FASN&experiment={MLP}")
    drawn(browser, slide="B1", gene="FASN", experiment=MLP)
    choose(browser, "gene", "GNAS")
    drawn(browser, gene="GNAS")
    assert browser.current_url.endswith(f"#slide=B1&gene=GNAS&experiment={MLP}")
    browser.execute_script("location.hash = arguments[0]", f"slide=A1&experiment={RIDGE}")
    drawn(browser, slide="A1", gene="GNAS", experiment=RIDGE)
    assert Select(browser.find_element(By.ID, "map-slide")).first_selected_option.text == "A1"
    assert errors(browser) == []


def test_a_link_to_what_is_not_there_shows_something_that_is(browser, report):
    browser.get("about:blank")
    browser.get(f"{report}#slide=Z9&gene=NOPE&experiment=none")
    drawn(browser, slide="A1", gene="ERBB2", experiment=RIDGE)
    notice = browser.find_element(By.ID, "map-notice").text
    assert notice.startswith("Z9 was not drawn here; this is A1.")
    assert notice.endswith("NOPE was not drawn here; this is ERBB2.")
    choose(browser, "gene", "FASN")
    drawn(browser, gene="FASN")
    assert browser.find_element(By.ID, "map-notice").text == ""
    assert errors(browser) == []


def test_headings_sort_methods_and_controls_apart_by_mouse_and_by_keyboard(page):
    table = page.find_element(By.CSS_SELECTOR, "table.leaderboard")

    def order() -> list[list[str]]:
        bodies = table.find_elements(By.TAG_NAME, "tbody")
        rows = [body.find_elements(By.CSS_SELECTOR, "tr:not(.part) th") for body in bodies]
        return [[heading.text for heading in headings] for headings in rows]

    assert order() == [["ridge", "mlp"], ["oracle", "mean"]]
    pcc = table.find_element(By.CSS_SELECTOR, "thead tr:nth-child(2) th:first-child")
    pcc.find_element(By.TAG_NAME, "button").click()
    assert (pcc.get_attribute("aria-sort"), order()) == ("descending", [["ridge", "mlp"], ["oracle", "mean"]])
    pcc.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert (pcc.get_attribute("aria-sort"), order()) == ("ascending", [["mlp", "ridge"], ["oracle", "mean"]])
    method = table.find_element(By.CSS_SELECTOR, "thead th")
    method.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert (method.get_attribute("aria-sort"), order()) == ("ascending", [["mlp", "ridge"], ["mean", "oracle"]])
    assert pcc.get_attribute("aria-sort") == "none"


def test_one_protocol_can_be_shown_alone(page):
    blocks = page.find_elements(By.CSS_SELECTOR, ".block")
    assert [block.is_displayed() for block in blocks] == [True, True]
    menu = Select(page.find_element(By.CSS_SELECTOR, ".block-filter"))
    menu.select_by_index(2)
    assert [block.is_displayed() for block in blocks] == [False, True]
    menu.select_by_index(0)
    assert [block.is_displayed() for block in blocks] == [True, True]


def test_the_distribution_shows_every_defined_gene_with_its_name(page):
    rows = page.find_elements(By.CSS_SELECTOR, "#figure g.row")
    assert [len(row.find_elements(By.TAG_NAME, "circle")) for row in rows] == [3, 3, 3, 0]
    title = rows[1].find_element(By.CSS_SELECTOR, "circle title").get_attribute("textContent")
    assert title == "ERBB2: -1.000, HEG and HVG (mlp, morphology)"
    assert "undefined for all 3 genes" in rows[3].text
    Select(page.find_element(By.ID, "figure-choice")).select_by_visible_text("toy, classic")
    assert len(page.find_elements(By.CSS_SELECTOR, "#figure g.row")) == 1


@pytest.mark.parametrize("width", [1280, 700])
def test_nothing_overflows_the_page_and_no_labels_overlap(page, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    drawn_width = "return document.querySelector('#figure svg').getAttribute('width')"
    WebDriverWait(page, 10).until(lambda p: width - 60 <= int(p.execute_script(drawn_width)) <= width)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    overlaps = """
      const boxes = [...document.querySelectorAll("#figure text")].map((text) => text.getBoundingClientRect());
      const meet = (a, b) => a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom;
      const inside = (box) => box.left >= 0 && box.right <= innerWidth;
      return [boxes.filter((a, n) => boxes.slice(n + 1).some((b) => meet(a, b))).length, boxes.every(inside)];
    """
    assert page.execute_script(overlaps) == [0, True]
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_colour_tables_are_even_and_their_ends_can_be_told_apart(page):
    sequential, diverging = page.execute_script("return [SEQUENTIAL, DIVERGING]")
    steps = [lightness(b) - lightness(a) for a, b in itertools.pairwise(sequential)]
    assert min(steps) > -0.6
    assert all(lightness(b) - lightness(a) > 2 for a, b in zip(sequential, sequential[16:], strict=False))
    assert max(map(lightness, diverging)) == max(map(lightness, diverging[126:130]))
    assert diverging[0][2] > diverging[0][0]  # blue below zero
    assert diverging[255][0] > diverging[255][2]  # orange above


def lightness(rgb: list[int]) -> float:
    """CIE L* of an sRGB colour."""
    linear = [v / 255 / 12.92 if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in rgb]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 116 * math.cbrt(luminance) - 16 if luminance > 0.008856 else 903.3 * luminance


def test_every_control_has_a_label_and_nothing_is_fetched(page):
    unlabelled = "return [...document.querySelectorAll('select, input')].filter((e) => e.labels.length === 0).length"
    assert page.execute_script(unlabelled) == 0
    fetched = "return performance.getEntriesByType('resource').map((e) => e.name).filter((n) => !n.startsWith('data:'))"
    assert page.execute_script(fetched) == []
