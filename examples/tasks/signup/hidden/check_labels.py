"""Checks the labels of the sign-up form, and that the rest of the page is as it was."""

import sys
from html.parser import HTMLParser
from pathlib import Path

EMPTY = {"meta", "link", "input", "br", "img", "hr"}
# Each field as it must stay.
FIELDS = {
    "name": {"type": "text", "placeholder": "Your name", "autocomplete": "name", "required": None},
    "email": {"type": "email", "placeholder": "you@example.org", "autocomplete": "email", "required": None},
    "voice": {"required": None},
    "nights": {"type": "number", "placeholder": "Nights", "min": "0", "max": "2"},
    "food": {"placeholder": "Anything you don't eat", "rows": "3"},
    "news": {"type": "checkbox"},
}
REQUIRED = {"name", "email", "voice"}


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []
        self.fields, self.ids, self.labels, self.links, self.headings = {}, [], [], [], []
        self.hidden_fields = {}

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in EMPTY:
            self.open.append((tag, attrs))
        if "id" in attrs:
            self.ids.append((attrs["id"], tag))
        if tag in ("input", "select", "textarea"):
            where = self.hidden_fields if attrs.get("type") == "hidden" else self.fields
            where[attrs.get("name")] = attrs
        if tag == "label":
            self.labels.append({"attrs": attrs, "text": "", "inside": list(self.open[:-1])})
        if tag == "a":
            self.links.append(attrs.get("href"))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        if tag in EMPTY:
            return
        if not self.open or self.open.pop()[0] != tag:
            self.wrong.append(f"line {self.getpos()[0]}: </{tag}> does not belong here")

    def handle_data(self, data):
        tags = [tag for tag, _ in self.open]
        if "label" in tags and "option" not in tags and "textarea" not in tags:
            self.labels[-1]["text"] += data
        if tags and tags[-1] in ("h1", "h2"):
            self.headings.append(data)


def invisible(attrs):
    style = (attrs.get("style") or "").replace(" ", "").lower()
    classes = (attrs.get("class") or "").split()
    return "hidden" in attrs or "hidden" in classes or "display:none" in style or "visibility:hidden" in style


page = Page()
page.feed(Path("index.html").read_text(encoding="utf-8"))
wrong = page.wrong + [f"<{tag}> is never closed" for tag, _ in page.open]

names = [name for name, _ in page.ids]
wrong += [f"the id {name} is there twice" for name in sorted(set(names)) if names.count(name) > 1]
for section in ["programme", "signup", "voice"]:
    if (section, "section") not in page.ids:
        wrong.append(f"the section {section} has lost its id")
if page.links != ["#programme", "#signup", "#voice"]:
    wrong.append("the links have changed")
if page.headings != ["Choir weekend in May", "Programme", "Sign up", "Which voice am I?"]:
    wrong.append("the headings have changed")
if set(page.hidden_fields) != {"event"} or page.hidden_fields["event"].get("value") != "may":
    wrong.append("the hidden field has changed")
if set(page.fields) != set(FIELDS):
    wrong.append(f"the fields are {sorted(page.fields)}")

for name in sorted(set(FIELDS) & set(page.fields)):
    attrs = page.fields[name]
    for key, value in FIELDS[name].items():
        if key not in attrs or (value is not None and attrs[key] != value):
            wrong.append(f"{name}: {key} has changed")
    if name not in REQUIRED and "required" in attrs:
        wrong.append(f"{name}: is required now")
    labels = [label for label in page.labels if attrs.get("id") and label["attrs"].get("for") == attrs["id"]]
    if len(labels) != 1:
        wrong.append(f"{name}: {len(labels)} labels")
        continue
    label = labels[0]
    text = label["text"].strip()
    if not text.strip("* "):
        wrong.append(f"{name}: the label is empty")
    if ("*" in text) != (name in REQUIRED):
        wrong.append(f"{name}: the * is wrong")
    if invisible(label["attrs"]) or any(invisible(around) for _, around in label["inside"]):
        wrong.append(f"{name}: the label is hidden")

print("\n".join(wrong) or "the labels are right")
sys.exit(1 if wrong else 0)
