"""The tenant that `make run` shows, and the page that shows it."""

from sandbox import atlan_world
from tests.sandbox.atlan import Atlan, receiving

SNOWFLAKE = f"{atlan_world.SNOWFLAKE['qualifiedName']}/ANALYTICS"
DATABRICKS = f"{atlan_world.DATABRICKS['qualifiedName']}/analytics"


def test_making_the_world_again_changes_nothing(atlan_process: Atlan) -> None:
    atlan_process.post("reset")
    atlan_world.make(atlan_process.url)
    first = atlan_process.get("state")
    atlan_world.make(atlan_process.url)

    assert atlan_process.get("state")["assets"] == first["assets"]
    names = {each["attributes"]["qualifiedName"] for each in first["assets"]}
    assert {f"{SNOWFLAKE}/CRM/CUSTOMERS/EMAIL", f"{DATABRICKS}/crm/customers/email"} <= names
    tags = {each["displayName"] for each in atlan_process.post("typedefs", {})["classificationDefs"]}
    assert tags == {"PII", "GDPR"}


def test_a_tag_on_a_customers_address_reaches_what_is_made_of_it(atlan_process: Atlan) -> None:
    atlan_process.post("reset")
    atlan_world.make(atlan_process.url)
    atlan_process.post("tags", {"asset": f"{DATABRICKS}/crm/customers/email", "add": ["PII"], "propagate": True})
    atlan_process.settle()

    tagged = {each["attributes"]["qualifiedName"] for each in atlan_process.get("state")["assets"] if each["propagated"]}
    assert tagged == {f"{DATABRICKS}/crm/customer_contacts/email", f"{DATABRICKS}/marketing/newsletter/email"}


def test_webhooks_go_where_the_world_is_told(atlan_process: Atlan) -> None:
    atlan_process.post("reset")
    with receiving() as receiver:
        atlan_world.make(atlan_process.url, receiver.url, "a secret")
        atlan_process.post("tags", {"asset": f"{SNOWFLAKE}/CRM/CUSTOMERS", "add": ["GDPR"]})
        atlan_process.settle()

    assert [each.headers.get("x-atlan-signing-secret") for each in receiver.got] == [None, "a secret"]


def test_the_page_shows_banners_tags_and_lineage_and_trusts_no_text(atlan_process: Atlan) -> None:
    atlan_process.post("reset")
    empty = atlan_process.http.get("/").text
    atlan_world.make(atlan_process.url)
    announced = {"announcementType": "issue", "announcementTitle": "<script>2 open", "announcementMessage": "Volume"}
    atlan_process.post("edit", {"asset": f"{SNOWFLAKE}/CRM/CUSTOMERS", "attributes": announced})
    atlan_process.post("tags", {"asset": f"{SNOWFLAKE}/CRM/CUSTOMERS/EMAIL", "add": ["PII"], "propagate": True})
    atlan_process.settle()
    page = atlan_process.http.get("/").text
    one = atlan_process.http.get("/", params={"asset": atlan_world.DATABRICKS["qualifiedName"]}).text

    assert "No tables yet" in empty
    assert '<div class="banner issue"><b>&lt;script&gt;2 open</b>Volume' in page
    assert (page.count('class="tag"'), page.count('class="tag far"')) == (1, 2)
    assert "CUSTOMER_CONTACTS</a>" in page
    assert "customer_contacts</a>" in one
    assert "CUSTOMER_CONTACTS</a>" not in one
