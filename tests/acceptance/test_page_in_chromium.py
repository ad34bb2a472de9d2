"""The page of `report` in a real browser: at three widths, dark and light, with few and many clients."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.pages import HOSTILE, made_up

from dmcheck_cli.reporting import page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium")

WIDTHS = (360, 800, 1400)
CONTRAST = 4.5

LOOK = """
const near = 0.5, found = [], frames = [...document.querySelectorAll('iframe')];
const rgb = text => (text.match(/[\\d.]+/g) || []).slice(0, 3).map(Number);
const light = colour => colour.map(x => x / 255).map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
function look(frame) {
    const page = frame.contentDocument, view = frame.contentWindow, say = text => found.push(frame.title + ': ' + text);
    const paper = light(rgb(view.getComputedStyle(page.body).backgroundColor));
    page.querySelectorAll('details').forEach(one => one.open = true);
    if (page.documentElement.scrollWidth > view.innerWidth) say('wider than the window');
    const texts = [];
    for (const walk = page.createTreeWalker(page.body, 4); walk.nextNode();) {
        const node = walk.currentNode, parent = node.parentElement;
        if (!node.data.trim() || ['STYLE', 'style', 'title'].includes(parent.tagName)) continue;
        const style = view.getComputedStyle(parent), drawn = parent.closest('svg');
        const ink = light(rgb(drawn ? style.fill : style.color));
        const [low, high] = [ink, paper].sort((a, b) => a - b);
        if ((high + 0.05) / (low + 0.05) < CONTRAST) say('too pale: ' + node.data.slice(0, 40));
        const range = page.createRange();
        range.selectNodeContents(node);
        const box = drawn ? parent.getBoundingClientRect() : range.getBoundingClientRect();
        if (box.width < near) { say('without a place: ' + node.data.slice(0, 40)); continue; }
        texts.push([node.data.trim().slice(0, 40), box, drawn]);
        const outer = (drawn || parent).getBoundingClientRect();
        if (drawn && (box.left < outer.left - near || box.right > outer.right + near ||
            box.top < outer.top - near || box.bottom > outer.bottom + near)) say('clipped: ' + node.data.slice(0, 40));
        if (drawn && box.height < 9) say('too small: ' + node.data.slice(0, 40));
        if (!parent.closest('.wide') && box.right > view.innerWidth + near) say('cut off: ' + node.data.slice(0, 40));
    }
    texts.sort((a, b) => a[1].top - b[1].top);
    texts.forEach(([text, box, drawn], i) => {
        for (let j = i + 1; j < texts.length && texts[j][1].top < box.bottom - 2; j++) {
            const [other, place, where] = texts[j];
            // Lines of text have boxes higher than their letters, and those of a paragraph share its box.
            if (drawn !== where || drawn === null && text.length > 30) continue;
            if (place.left < box.right - 1 && place.right > box.left + 1)
                say('on one another: ' + text + ' / ' + other);
        }
    });
    return texts.length;
}
onload = () => {
    let texts = 0, dark = matchMedia('(prefers-color-scheme: dark)').matches;
    try { for (const frame of frames) texts += look(frame); } catch (error) { found.push(String(error)); }
    document.getElementById('found').textContent = JSON.stringify({texts, found, dark});
};
""".replace("CONTRAST", str(CONTRAST))
"""Goes through all texts of each page, its tables opened."""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_can_be_read(dark: bool, tmp_path: Path) -> None:
    """Nothing is wider than the window, clipped, on top of another text, too small or too pale."""
    frames = []
    for name, found in {
        **{str(clients): made_up(clients) for clients in (0, 3, 2000)},
        "hostile": made_up(3, HOSTILE),
    }.items():
        (tmp_path / f"{name}.html").write_text(page.page(found), "utf-8")
        frames += [f'<iframe title="{name} {w}" src="{name}.html" width={w} height=900></iframe>' for w in WIDTHS]
    whole = f'<!DOCTYPE html><meta charset="utf-8"><pre id="found"></pre>{"".join(frames)}<script>{LOOK}</script>'
    (tmp_path / "all.html").write_text(whole, "utf-8")

    looked = chromium(tmp_path, tmp_path / "all.html", dark)

    assert looked["found"] == []
    assert looked["dark"] == dark
    assert looked["texts"] > 1000


def test_the_look_finds_what_is_wrong(tmp_path: Path) -> None:
    """A page with one of each fault."""
    (tmp_path / "bad.html").write_text(
        """<body style="background: #ffffff"><p style="color: #bbbbbb">pale</p>
        <div style="width: 900px">wide</div><svg width="50" height="50"><text x="20" y="20">clipped by its edge</text>
        <text x="0" y="30">one</text><text x="2" y="31">other</text></svg></body>""",
        "utf-8",
    )
    (tmp_path / "all.html").write_text(
        f'<pre id="found"></pre><iframe title="bad" src="bad.html" width=400></iframe><script>{LOOK}</script>', "utf-8"
    )
    found = " ".join(chromium(tmp_path, tmp_path / "all.html", False)["found"])
    for fault in ("wider than the window", "too pale: pale", "clipped: clipped", "on one another: one / other"):
        assert fault in found


def chromium(home: Path, file: Path, dark: bool) -> dict[str, Any]:
    """What the script of the file found, in a browser of that scheme."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={home / 'profile'}",
            "--allow-file-access-from-files", "--window-size=1600,1000", "--timeout=60000",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--dump-dom", file.as_uri(),
        ],
        capture_output=True, text=True, timeout=300, check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    [found] = re.findall(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return dict(json.loads(html.unescape(found)))
