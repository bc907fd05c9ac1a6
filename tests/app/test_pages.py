"""Pages: `/` leads a person on, and a program too; the documentation needs nothing from elsewhere."""

import re

from flask.testing import FlaskClient

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_every_link_of_every_page_leads_somewhere_on_this_installation(client: FlaskClient) -> None:
    for path in ("/", "/docs", "/problems/bug"):
        page = client.get(path, headers=BROWSER).text
        links = set(re.findall(r'(?:href|src)="([^"]+)"', page))

        assert len(links) >= 4
        assert all(link.startswith("/") for link in links)
        assert {client.get(link).status_code for link in links - {"/readyz"}} == {200}


def test_pages_have_no_script_or_style_inline(client: FlaskClient) -> None:
    for path in ("/", "/docs", "/problems/bug"):
        page = client.get(path, headers=BROWSER).text

        assert "<style" not in page and "style=" not in page
        assert not re.search(r"<script>|<script [^>]*>[^<]|\son\w+=", page)


def test_the_first_page_names_the_sources_and_what_programs_may_ask(client: FlaskClient) -> None:
    page, document = client.get("/", headers=BROWSER), client.get("/").get_json()

    assert "/webhooks/of-one-account" in page.text
    assert document["links"]["events"] == "http://127.0.0.1:8000/events"
