"""The page of phone preflight in a real browser: no network, small screens, print, a screen reader's tree, filters."""

import json
import re

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from test_phone import cluster, inventory, known  # noqa: F401: fixtures
from tvs_server import keys  # noqa: F401: a fixture


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={folder}/profile",
                     "--force-color-profile=srgb", "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"):
        options.add_argument(argument)
    options.binary_location = "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver", log_path=str(folder / "log")), options=options)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, ctlsign, cluster, inventory, tmp_path):  # noqa: F811
    ctlsign("phone", "preflight", cluster["new-ctl"], *known(cluster), "--tvs", cluster["tvs"], "--phones", inventory, "--html", "page.html",
            expect=1)
    browser.get_log("browser")
    browser.get_log("performance")
    browser.set_window_size(1200, 900)
    browser.get((tmp_path / "page.html").as_uri())
    return browser


def visible_rows(page, table):
    return [row for row in page.find_elements(By.CSS_SELECTOR, f"#{table} tbody tr") if row.is_displayed()]


def test_shows_what_the_report_says(page):
    assert page.find_element(By.TAG_NAME, "h1").text.startswith("Will the phones take ")
    assert [one.text for one in page.find_elements(By.CSS_SELECTOR, ".counts li")] == ["3\naccept", "2\nrefuse", "2\nnot known"]
    assert "2 phones would refuse." in page.find_element(By.TAG_NAME, "main").text
    assert len(visible_rows(page, "phones")) == 4


def test_needs_no_network_and_has_no_fault(page):
    assert page.get_log("browser") == []
    asked = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = [one["params"]["request"]["url"] for one in asked if one["method"] == "Network.requestWillBeSent"]
    assert urls and all(url.startswith("file://") for url in urls) and len(set(urls)) == 1


def test_text_of_an_inventory_is_text(page):
    assert "<b>Polycom&" in page.find_element(By.ID, "groups").text
    assert not page.find_elements(By.CSS_SELECTOR, "#groups b")


def test_tables_can_be_filtered(page):
    Select(page.find_element(By.ID, "phones-verdict")).select_by_visible_text("refuses")
    assert {row.find_element(By.TAG_NAME, "th").text for row in visible_rows(page, "phones")} == {"SEP2", "SEP3"}
    page.find_element(By.ID, "phones-words").send_keys("7960 sep2")
    assert [row.find_element(By.TAG_NAME, "th").text for row in visible_rows(page, "phones")] == ["SEP2"]
    assert page.find_element(By.CSS_SELECTOR, "form[data-table=phones] output").text == "1 of 4 rows"
    assert len(visible_rows(page, "groups")) == 7, "the other table is left alone"


def test_fits_a_small_screen(page):
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 320, "height": 640, "deviceScaleFactor": 2, "mobile": True})
    try:
        width = page.execute_script("return document.documentElement.scrollWidth")
        assert width <= 320, width
        label = page.execute_script("return getComputedStyle(document.querySelector('#phones td'), '::before').content")
        assert "Verdict" in label
        width, box = page.execute_script("const svg = document.querySelector('svg');"
                                         "return [svg.getBoundingClientRect().width, svg.viewBox.baseVal.width]")
        assert 13 * width / box >= 10, "the size of its letters, in pixels"
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_prints_without_controls(page):
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not page.find_element(By.CSS_SELECTOR, "form.filter").is_displayed()
        assert len(visible_rows(page, "phones")) == 4
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def accessibility_tree(page):
    page.execute_cdp_cmd("Accessibility.enable", {})
    nodes = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node.get("ignored")]


def test_reads_well_to_a_screen_reader(page):
    tree = accessibility_tree(page)
    roles = [role for role, _ in tree]
    assert roles.count("main") == 1 and roles.count("table") == 2 and roles.count("search") == 2
    headings = [name for role, name in tree if role == "heading"]
    assert headings[0].startswith("Will the phones take") and "Who trusts whom" in headings
    picture = [name for role, name in tree if role in ("image", "img", "graphics-document")]
    assert any("How phones come to trust the signer" in name and "refuses" in name for name in picture), picture
    assert {"Verdict", "Why", "Phones"} <= {name for role, name in tree if role == "columnheader"}
    assert "SEP2" in {name for role, name in tree if role == "rowheader"}
    unnamed = [role for role, name in tree if role in ("textbox", "searchbox", "combobox", "table", "region", "search") and not name]
    assert not unnamed, unnamed
    assert page.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"


def test_says_what_would_help_which_phone(page):
    rows = {row.find_element(By.TAG_NAME, "th").text: row.text for row in visible_rows(page, "phones")}
    assert "by hand" in rows["SEP2"] and "by hand" in rows["SEP3"], rows
    assert "by hand" not in rows["SEP5"], rows


def test_is_a_table_on_a_small_screen_too(page):
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 320, "height": 640, "deviceScaleFactor": 2, "mobile": True})
    try:
        tree = accessibility_tree(page)
        assert [role for role, _ in tree].count("table") == 2
        assert "SEP2" in {name for role, name in tree if role == "rowheader"}
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_is_cut_on_paper(page):
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 718, "height": 1000, "deviceScaleFactor": 1, "mobile": False})
    try:
        assert page.execute_script("return [...document.querySelectorAll('table, svg')].map(one => one.getBoundingClientRect().right)"
                                   ".every(right => right <= document.documentElement.clientWidth)")
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_says_how_much_it_leaves_out(ctlsign, cluster, tmp_path):  # noqa: F811
    rows = "".join(f"SEP{i},7960,{i:040X},\n" for i in range(5010))
    (tmp_path / "many.csv").write_text("device,model,ctl,itl\n" + rows)
    arguments = ["phone", "preflight", cluster["new-ctl"], *known(cluster), "--phones", "many.csv"]
    report = json.loads(ctlsign(*arguments, "--json").out)
    ctlsign(*arguments, "--html", "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<p>10 more groups are in the JSON report alone.</p>" in page and "<p>10 more phones are in the JSON report alone.</p>" in page
    assert len(report["groups"]) == 5010 and len(report["rules"][0]["devices"]) == 5010
    assert "4998 rarer combinations of lists are in the table alone." in page


def test_colours_can_be_told_from_the_ground(page):
    try:
        for scheme in ("light", "dark"):
            page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
            ground = {"light": (255, 255, 255), "dark": (18, 18, 18)}[scheme]
            for kind in ("accepts", "refuses", "not-known"):
                colour = page.execute_script(f"return getComputedStyle(document.querySelector('.counts .{kind}')).color")
                assert contrast(tuple(map(int, re.findall(r"\d+", colour)[:3])), ground) >= 4.5, (scheme, kind, colour)
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def contrast(a, b):
    def luminance(colour):
        linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055)**2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_picture_is_drawn(page):
    svg = page.find_element(By.TAG_NAME, "svg")
    assert svg.size["width"] > 500 and svg.size["height"] > 150
    assert len(svg.find_elements(By.CSS_SELECTOR, "path.accepts")) == 2
    assert len(svg.find_elements(By.CSS_SELECTOR, "path.refuses")) == 2


def test_names_stay_in_their_boxes(page):
    ends = page.execute_script("return [...document.querySelectorAll('svg text[x=\"10\"]')].map(text => [text.textContent, "
                               "text.getBBox().x + text.getBBox().width])")
    assert "CTL ABABABAB…, ITL CDCDCDCD…" in dict(ends)
    assert all(end <= 301 for _, end in ends), ends
