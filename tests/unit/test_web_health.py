"""What /health says of voices and portraits that people would add."""

from pathlib import Path

import pytest

from tests.web_fakes import make_world
from web.health import DeploymentHealth, Health, Uploads

SENTENCE = "I agree."


@pytest.mark.parametrize(
    ("uploads", "told"),
    [
        (None, {}),
        (Uploads(SENTENCE), {"uploads": {"supported": True, "consent": SENTENCE}}),
        (Uploads(SENTENCE, "Not here."), {"uploads": {"supported": False, "detail": "Not here."}}),
    ],
    ids=["not known yet", "supported", "not supported"],
)
async def test_health_says_whether_something_can_be_added(
    tmp_path: Path, uploads: Uploads | None, told: dict[str, object]
) -> None:
    world = make_world(tmp_path)
    world.health.append(Health({"tts": DeploymentHealth("ready", "hum", 1, uploads=uploads)}))
    async with world.client() as client:
        health = (await client.get("/health")).json()
    assert health["deployments"] == {
        "tts": {"status": "ready", "engine": "hum", "replicas": 1, **told}
    }
