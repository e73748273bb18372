"""A person reviews a clip on Airflow's page."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from watched import TIME_LIMIT, Watched

pytestmark = TIME_LIMIT


def test_a_person_sees_the_clip_and_approves_it(airflow: Watched, page: Page) -> None:
    page.goto(airflow.question(0), wait_until="commit")
    link = page.get_by_role("link", name="Watch the clip")
    expect(link).to_be_visible()
    assert link.get_attribute("href") == airflow.approving.xcom("review.make_clip", map_index=0)
    page.get_by_role("button", name="Approve").click()
    published = airflow.cluster.folder / "reviewed" / "published" / "mug.jpg.mp4"
    airflow.cluster.until("the clip to be published", published.is_file)
