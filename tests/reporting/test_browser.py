"""The page in headless Chromium: no console errors, plots drawn, hover and drill-down work, nothing overflows.

Screenshots for a person to look at go to build/screenshots.
"""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import numpy as np
import pytest

from spikeport.graph import LIF, LOIHI2, Conv, Flatten, Graph, Input, Linear, Loihi, Readout
from spikeport.record import Record
from spikeport.reporting import gather, write
from spikeport.spike_train import Train
from spikeport.verbs.fit import placed

selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
WebDriverWait = pytest.importorskip("selenium.webdriver.support.wait").WebDriverWait

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
DRIVER = shutil.which("chromedriver")
SHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed")

LAYERS = {"features.0.a_rather_long_name.lif": (4, 6, 6), "features.3.lif": (24,)}
T = 4
PATIENCE = 240  # seconds, below the limit of a test


def graph():
    name, dense = LAYERS
    nodes = {
        "input": Input((1, 6, 6), low=0, high=255),
        "features.0.conv": Conv(np.arange(-18, 18).reshape(4, 1, 3, 3).astype(np.int8), padding=(1, 1)),
        name: LIF((4, 6, 6), np.int32(2048), np.full(T, 60, np.int32), compare=">", gain=np.int32(1)),
        "flatten": Flatten(),
        "features.3.fc": Linear(np.full((24, 144), 5, np.int8)),
        dense: LIF((24,), np.int32(2048), np.arange(60, 60 + T, dtype=np.int32), compare=">", gain=np.int32(1)),
        "head": Linear(np.full((10, 24), 5, np.int8)),
        "out": Readout((10,), np.ones(T, np.int32), np.int32(0)),
    }
    return Graph.chain(nodes, timesteps=T, arithmetic=Loihi(LOIHI2))


def record(seed):
    rng = np.random.default_rng(seed)
    trains = {name: Train.pack(rng.random((T, 8, *shape)) < 0.2) for name, shape in LAYERS.items()}
    neurons = {name: int(np.prod(shape)) for name, shape in LAYERS.items()}
    return Record("made up", rng.random((8, 10)), neurons, {}, trains)


def result(agreement):
    energy = {"low": 1e-9, "nominal": 2e-9, "high": 6e-9, "source": "a data sheet with a name that goes on for long"}
    cause = {
        "name": "weights",
        "title": "weights rounded",
        "mismatches": 10,
        "share": 0.75,
        "explained": 0.5,
        "accuracy": -0.01,
        "layers": {},
        "advice": "More bits.",
    }
    return {
        "model": "made-up",
        "dataset": "noise",
        "timesteps": T,
        "seed": 1,
        "versions": {"numpy": "0"},
        "thresholds": {name: [1.0, 0.9, 1.2, 1.1] for name in LAYERS},
        "firing_rate": {name: [0.2, 0.1, 0.3, 0.25] for name in LAYERS},
        "samples": {"pytorch": 8, "integer": 8},
        "accuracy": {"pytorch": 0.875, "integer": 0.875},
        "parity": {"integer": agreement.as_dict("graph")},
        "causes": {"integer": [cause, cause | {"title": "thresholds rounded", "share": 0.25}]},
        "energy_joule_per_sample": {"chip": energy, "chip-ann": energy | {"network": "ann", "model": "chip"}},
        "samples_per_second": {"integer": 10.0},
        "seconds": {"train": 1.0},
    }


@pytest.fixture(scope="module")
def browser():
    options = selenium.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(DRIVER))
    driver.set_script_timeout(PATIENCE)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    from spikeport.comparison import parity

    a, b = record(1), record(2)
    fit, placement = placed(graph())
    figures = gather({"integer": (a, b)}, graph=graph(), integer=graph(), placement=placement)
    return write(result(parity(a, b)) | {"fit": fit}, tmp_path_factory.mktemp("page") / "report.html", figures)


def show(browser, page, width=1400, scheme="light"):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get(page.as_uri())


def find(browser, selector):
    return browser.find_elements("css selector", selector)


def scroll_to(browser, mark):
    """Bring a mark into view; the page has been told of the scrolling, which hides its tip, two frames later."""
    browser.execute_async_script(
        """
        const [mark, done] = arguments;
        mark.scrollIntoView({block: "center", behavior: "instant"});
        requestAnimationFrame(() => requestAnimationFrame(done));
        """,
        mark,
    )


def wait_until(browser, condition):
    """The page reacts in its own time: on a busy machine later."""
    WebDriverWait(browser, PATIENCE).until(lambda _: condition())


def test_it_opens_without_a_word_in_the_console_and_asks_for_nothing(browser, page):
    show(browser, page)
    assert browser.get_log("browser") == []
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert page.stat().st_size < 6_000_000


def test_the_main_plots_have_drawn(browser, page):
    show(browser, page)
    for selector, least in (
        ("#thresholds svg .curve", 2),
        ("#rates svg .curve", 2),
        ("#spikes svg path", 4),
        ("#mantissas svg .bar", 5),
        (".heat td[data-tip]", 8),
        ("#cores svg path", 2),
        ("#accuracy .track b", 2),
        ("#energy .track b", 2),
    ):
        drawn = [mark for mark in find(browser, selector) if mark.size["width"] > 0 and mark.size["height"] > 0]
        assert len(drawn) >= least, selector


def test_hovering_a_mark_says_its_number(browser, page):
    show(browser, page)
    mark = find(browser, "#thresholds .hit")[1]
    scroll_to(browser, mark)
    selenium.ActionChains(browser).move_to_element(mark).perform()
    tip = find(browser, "#tip")[0]
    wait_until(browser, tip.is_displayed)
    assert "t = 1: threshold 0.9" in tip.text


def test_a_cell_of_the_heat_map_opens_the_rasters_of_neurons_that_part(browser, page):
    show(browser, page)
    cell = find(browser, ".heat button")[2]
    panel = find(browser, ".drill")[0]
    assert not panel.is_displayed()
    browser.execute_script("arguments[0].click()", cell)
    wait_until(browser, panel.is_displayed)
    tables = panel.find_elements("css selector", "table")
    assert tables
    for table in tables:
        assert len(table.find_elements("css selector", "tr:nth-of-type(1) .cell")) == T
        marks = table.find_elements("css selector", f"td:nth-of-type({3}) .cell")
        assert {mark.get_attribute("aria-label") for mark in marks} == {"fires", "silent"}  # they part at t = 2
    browser.execute_script("arguments[0].click()", cell)
    wait_until(browser, lambda: not panel.is_displayed())


def test_light_and_dark_follow_the_reader_and_the_button(browser, page):
    def paper():
        return browser.execute_script("return getComputedStyle(document.body).backgroundColor")

    show(browser, page, scheme="light")
    light = paper()
    show(browser, page, scheme="dark")
    dark = paper()
    assert light != dark
    find(browser, "#theme")[0].click()
    wait_until(browser, lambda: paper() == light)


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_and_a_screenshot_is_kept(browser, page, width, scheme):
    show(browser, page, width, scheme)
    browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    browser.execute_script("document.querySelectorAll('.heat button')[1].click()")
    scrolled, client = browser.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert scrolled <= client == width
    # text that sticks out of its box, unless the box scrolls
    sticking = browser.execute_script("""
        const scrolls = (node) => node.closest('.wide, .rasters > div, svg, .axis') !== null;
        return [...document.querySelectorAll('p, li, h1, h2, h3, .label, .value, figcaption, small, dt, dd, th, td')]
          .filter((node) => !scrolls(node) && node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0)
          .map((node) => node.textContent.slice(0, 60));
    """)
    assert sticking == []
    # a table that can be scrolled says so, and no other does
    hinted, wider = browser.execute_script("""
        const boxes = [...document.querySelectorAll('.wide')];
        const named = (test) => boxes.map((box, number) => test(box) ? number : -1).filter((number) => number >= 0);
        const wider = (box) => box.scrollWidth > box.clientWidth + 1;
        return [named((box) => box.classList.contains('scrolls')), named(wider)];
    """)
    assert hinted == wider
    assert bool(wider) == (width == 390)
    SHOTS.mkdir(parents=True, exist_ok=True)
    height = browser.execute_script("return document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    (SHOTS / f"report-{width}-{scheme}.png").write_bytes(base64.b64decode(shot["data"]))


def test_it_prints_on_pages_in_light_colours(browser, page):
    show(browser, page, scheme="dark")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not find(browser, "#theme")[0].is_displayed()
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert pdf.startswith(b"%PDF")
