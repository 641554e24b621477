"""Checks that the page is put together rightly and that the form still sends what the server expects."""

import sys
from html.parser import HTMLParser
from pathlib import Path

FIELDS = ["event", "name", "email", "voice", "nights", "food", "news"]
EMPTY = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.fields, self.ids, self.links = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in EMPTY:
            self.open.append(tag)
        if tag in ("input", "select", "textarea"):
            self.fields.append(attrs.get("name"))
        if "id" in attrs:
            self.ids.append(attrs["id"])
        if tag == "a" and attrs.get("href", "").startswith("#"):
            self.links.append(attrs["href"][1:])

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"line {self.getpos()[0]}: </{tag}> does not belong here")


page = Page()
page.feed(Path("index.html").read_text(encoding="utf-8"))
page.wrong += [f"<{tag}> is never closed" for tag in page.open]
if page.fields != FIELDS:
    page.wrong.append(f"the form's fields are {page.fields}, not {FIELDS}")
page.wrong += [f"the link to #{name} leads nowhere" for name in page.links if name not in page.ids]
print("\n".join(page.wrong) or "the page is right")
sys.exit(1 if page.wrong else 0)
