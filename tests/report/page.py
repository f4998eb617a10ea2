"""A report's page as its tests read it."""

from html.parser import HTMLParser

HOSTILE = "<script>alert(1)</script>{{7*7}}{% raw %}\"'><img src=x onerror=alert(1)> | [x](javascript:alert(1))"


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.ids, self.outside, self.text = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value)
            if key in ("src", "href", "xlink:href", "data") and not value.startswith("#"):
                self.outside.append(value)
            assert not key.startswith("on"), (tag, key)

    def handle_data(self, data):
        self.text += data


def read_page(folder) -> tuple[Page, str]:
    page, text = Page(), (folder / "report.html").read_text(encoding="utf-8")
    page.feed(text)
    return page, text
