"""Health, metrics, documentation, the page, sessions, faces and voices over HTTP."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from starlette.routing import Route

from deployments.errors import ConfigError
from tests.unit.test_web_turns import problem
from tests.web_fakes import ServeProxy, World, make_world, ready
from web.health import CachedHealth, Health, failure_in
from web.metrics import MetricsRelay, merged
from web.problems import CODES
from web.settings import check_exposure

API = "/api/v1/"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


async def get(world: World, path: str, **headers: str | bytes) -> Any:
    async with world.client() as client:
        encoded = {k: v if isinstance(v, bytes) else v.encode() for k, v in headers.items()}
        return await client.get(path, headers=[(k.encode(), v) for k, v in encoded.items()])


async def kept_turn(world: World) -> dict[str, Any]:
    async with world.client() as client:
        answer = await client.post(
            API + "conversation",
            data={"text": "Hello", "language": "en"},
            headers={"Accept": "application/json"},
        )
    body: dict[str, Any] = answer.json()
    return body


# health and metrics


async def test_health_says_what_is_ready(world: World) -> None:
    answer = await get(world, "/health")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "profile": "embedded",
        "version": "0.1.0",
        "deployments": {
            name: {"status": "ready", "engine": f"fake-{name}", "replicas": 1}
            for name in ("asr", "llm", "tts", "avatar")
        },
    }


@pytest.mark.parametrize("health", [Health(), ready(tts="loading"), ready(tts="failed")])
async def test_health_is_unavailable_until_every_stage_is_ready(
    world: World, health: Health
) -> None:
    world.health.append(health)

    answer = await get(world, "/health")

    assert answer.status_code == 503
    assert answer.json()["status"] == "loading"


async def test_a_fallback_is_degraded_and_still_available(world: World) -> None:
    world.health.append(Health(ready().deployments, is_degraded=True))

    answer = await get(world, "/health")

    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "The deployment failed to start 3 times in a row. Error:\nray::ServeReplica:a:asr()\n"
            '  File "/srv/x.py", line 1, in __init__\n    raise EngineLoadError(text)\n'
            "deployments.errors.EngineLoadError: asr needs a GPU: set num_gpus",
            "asr needs a GPU: set num_gpus",
        ),
        ('  File "/srv/x.py", line 1\nValueError: unexpected', ""),
        ("", ""),
    ],
)
def test_of_what_serve_says_only_the_engines_own_words_are_told(message: str, words: str) -> None:
    assert failure_in(message) == words


async def test_health_is_asked_once_a_second_at_most() -> None:
    times_s = iter((0.0, 0.0, 0.5, 0.9, 1.0, 1.0, 1.5))  # read again after each question
    n_asked = 0

    async def source() -> Health:
        nonlocal n_asked
        n_asked += 1
        return ready()

    health = CachedHealth(source, now=lambda: next(times_s))
    for _ in range(5):
        await health()

    assert n_asked == 2


async def test_metrics_are_relayed(world: World) -> None:
    answer = await get(world, "/metrics")

    assert answer.text == "turns 1\n"
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_the_metrics_of_nodes_are_merged_by_family() -> None:
    first = (
        "# HELP turns Turns.\n# TYPE turns counter\n"
        'turns{node="a"} 1\n'
        "# HELP wait Wait.\n# TYPE wait histogram\n"
        'wait_bucket{node="a",le="1"} 2\nwait_sum{node="a"} 3\n'
    )

    assert merged([first, first.replace('"a"', '"b"')]) == (
        "# HELP turns Turns.\n# TYPE turns counter\n"
        'turns{node="a"} 1\nturns{node="b"} 1\n'
        "# HELP wait Wait.\n# TYPE wait histogram\n"
        'wait_bucket{node="a",le="1"} 2\nwait_sum{node="a"} 3\n'
        'wait_bucket{node="b",le="1"} 2\nwait_sum{node="b"} 3\n'
    )


async def test_a_node_that_does_not_answer_is_left_out_of_the_metrics() -> None:
    def node(request: httpx.Request) -> httpx.Response:
        if request.url.host == "gone":
            raise httpx.ConnectError("no route")
        return httpx.Response(200, text="turns 1\n")

    async with httpx.AsyncClient(transport=httpx.MockTransport(node)) as client:
        relay = MetricsRelay(lambda: ["http://here/metrics", "http://gone/metrics"], client)
        assert await relay() == "# a node did not answer: ConnectError\nturns 1\n"


# headers and problems


async def test_every_answer_has_one_request_id(world: World) -> None:
    for path in ("/health", "/nothing", API + "voices", "/"):
        answer = await get(world, path)
        assert len(answer.headers.get_list("x-request-id")) == 1


async def test_a_request_id_of_the_proxy_is_reused_and_a_strange_one_is_not(world: World) -> None:
    reused = await get(world, "/nothing", **{"X-Request-Id": "serve-made-this.1"})
    strange = await get(world, "/nothing", **{"X-Request-Id": "<script>"})

    assert reused.json()["request_id"] == "serve-made-this.1"
    assert "<" not in strange.json()["request_id"]


async def test_behind_serve_the_proxy_alone_sets_the_request_id(tmp_path: Path) -> None:
    world = make_world(tmp_path, proxy_sets_request_id=True)

    answer = await get(world, "/nothing", **{"X-Request-Id": "made-by-serve"})

    assert "x-request-id" not in answer.headers
    assert answer.json()["request_id"] == "made-by-serve"


STRANGE_IDS = [
    "",
    "<script>",
    "two words",
    'a"b\\c',
    "x" * 200,
    "\u00e9\u4e2d",
    "tab\there",
    "\u009b1m",
]


@pytest.mark.parametrize("given", STRANGE_IDS)
async def test_behind_serve_the_id_in_the_body_is_that_of_the_header(
    tmp_path: Path, given: str
) -> None:
    world = make_world(tmp_path, proxy_sets_request_id=True)
    transport = httpx.ASGITransport(ServeProxy(world.app))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        answer = await client.get("/nothing", headers=[(b"X-Request-Id", given.encode())])

    ids = [value for name, value in answer.headers.raw if name.lower() == b"x-request-id"]
    assert ids == [answer.json()["request_id"].encode()] == [given.encode()]


@pytest.mark.parametrize("given", STRANGE_IDS)
async def test_without_serve_the_id_in_the_body_is_that_of_the_header(
    world: World, given: str
) -> None:
    answer = await get(world, "/nothing", **{"X-Request-Id": given.encode()})

    assert answer.json()["request_id"] == answer.headers["x-request-id"] != given


async def test_an_id_cannot_write_to_the_log_as_it_likes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world(tmp_path, proxy_sets_request_id=True)
    world.health.append(ready(tts="failed"))
    await get(world, API + "voices", **{"X-Request-Id": "\u009b31m red".encode()})

    assert "31m red" in caplog.text
    assert "\u009b" not in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/nothing", (404, "not_found")),
        ("POST", API + "nothing", (404, "not_found")),
        ("GET", API + "chat", (405, "method_not_allowed")),
        ("POST", "/health", (405, "method_not_allowed")),
        ("PUT", API + "voices", (405, "method_not_allowed")),
        ("GET", "/../pyproject.toml", (404, "not_found")),
        ("GET", "/%2e%2e/pyproject.toml", (404, "not_found")),
        ("GET", "/web/app.py", (404, "not_found")),
    ],
)
async def test_addresses_that_do_not_exist(
    world: World, method: str, path: str, expected: tuple[int, str]
) -> None:
    async with world.client() as client:
        assert problem(await client.request(method, path)) == expected


def test_every_code_has_a_client_or_server_status() -> None:
    assert {code: status for code, (status, _) in CODES.items() if not 400 <= status < 600} == {}


# the page and the documentation


async def test_the_page_and_its_files_are_served_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page"
    (page / "js").mkdir(parents=True)
    (page / "index.html").write_text("<title>Page</title>")
    (page / "js" / "app.js").write_text("export {}")
    (tmp_path / "secret").write_text("secret")
    world = make_world(tmp_path / "data", page=page)

    index = await get(world, "/")
    script = await get(world, "/js/app.js")
    again = await get(world, "/js/app.js", **{"If-None-Match": script.headers["etag"]})

    assert (index.status_code, index.text) == (200, "<title>Page</title>")
    assert index.headers["content-type"].startswith("text/html")
    assert script.headers["content-type"].startswith(("text/javascript", "application/javascript"))
    assert script.headers["cache-control"] == "no-cache"
    assert again.status_code == 304
    assert (await get(world, "/js/../../secret")).status_code == 404


async def test_the_page_may_load_from_here_only(world: World) -> None:
    policy = (await get(world, "/health")).headers["content-security-policy"]

    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


async def test_the_documentation_loads_nothing_from_elsewhere(world: World) -> None:
    page = await get(world, "/docs")

    assert page.status_code == 200
    assert "//" not in page.text
    assert "<script>" not in page.text
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png", "start.js"):
        assert f"/docs/{asset}" in page.text
        assert (await get(world, f"/docs/{asset}")).status_code == 200


async def test_the_description_tells_forms_and_answers(world: World) -> None:
    paths = (await get(world, "/openapi.json")).json()["paths"]

    turn = paths[API + "conversation"]["post"]
    form = turn["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {
        "audio", "text", "language", "session_id", "avatar", "voice", "history"
    }  # fmt: skip
    assert form["properties"]["audio"]["format"] == "binary"
    assert set(turn["responses"]["200"]["content"]) == {"video/mp4", "application/json"}
    assert "application/problem+json" in turn["responses"]["default"]["content"]
    assert "422" not in turn["responses"]
    assert "anyOf" not in json.dumps(paths)


async def test_the_description_tells_which_answers_there_are(world: World) -> None:
    paths = (await get(world, "/openapi.json")).json()["paths"]

    answers = {
        f"{method} {path.removeprefix(API)}": set(operation["responses"])
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    own = {
        "delete sessions/{session_id}": {"204", "default"},
        "post voices": {"201", "default"},
        "post avatars": {"201", "default"},
        "delete avatars/{avatar_id}": {"204", "default"},
        "delete voices/{voice_id}": {"204", "default"},
        "get /health": {"200", "503"},
        "get /metrics": {"200", "default"},
    }
    assert answers == {name: own.get(name, {"200", "default"}) for name in answers}


@pytest.mark.parametrize("needs_key", [False, True])
async def test_the_description_tells_what_needs_a_key(tmp_path: Path, needs_key: bool) -> None:
    keys = keys_file(tmp_path, "k") if needs_key else None
    world = make_world(tmp_path / "data", api_keys_file=keys)
    described = (await get(world, "/openapi.json")).json()

    assert described["components"] == {
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}
    }
    wanted: list[dict[str, list[str]]] = [{"bearer": []}] if needs_key else [{}, {"bearer": []}]
    for path, operations in described["paths"].items():
        for operation in operations.values():
            assert operation.get("security") == (None if path == "/health" else wanted)


async def test_every_route_of_the_interface_is_described(world: World) -> None:
    described = set((await get(world, "/openapi.json")).json()["paths"])
    served = {r.path for r in world.app.routes if isinstance(r, Route) and r.path.startswith(API)}

    assert served <= described
    assert {API + name for name in ("transcribe", "chat", "speak", "animate", "generate")} <= (
        described
    )


# sessions and turns


async def test_a_session_lists_its_turns_and_can_be_erased(world: World) -> None:
    turn = await kept_turn(world)
    address = API + f"sessions/{turn['session_id']}"

    session = (await get(world, address)).json()
    created_at = session["turns"][0].pop("created_at")
    assert session == {
        "session_id": turn["session_id"],
        "created_at": created_at,
        "turns": [turn],
    }

    async with world.client() as client:
        assert (await client.delete(address)).status_code == 204
        assert problem(await client.delete(address)) == (404, "not_found")
    for path in (address, API + f"turns/{turn['turn_id']}", turn["video_url"]):
        assert problem(await get(world, path)) == (404, "not_found")
    assert world.media() == []


async def test_a_turn_can_be_asked_for_again(world: World) -> None:
    turn = await kept_turn(world)

    assert (await get(world, API + f"turns/{turn['turn_id']}")).json() == turn


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=5-", 206, slice(5, None)),
        ("bytes=3-9999999", 206, slice(3, None)),
        ("bytes=-10", 206, slice(-10, None)),
        ("bytes=-9999999", 206, slice(0, None)),
        ("Bytes=2-3", 206, slice(2, 4)),
        # what is no range, or several, is as if it were not there
        ("bytes=9-3", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
        ("bytes=a-b", 200, slice(None)),
        ("bytes=1", 200, slice(None)),
        ("bytes", 200, slice(None)),
        ("frames=0-1", 200, slice(None)),
        ("bytes=0-1,4-5", 200, slice(None)),
        ("bytes=1-" + "9" * 5000, 200, slice(None)),
    ],
)
async def test_a_part_of_a_video(world: World, asked: str, status: int, part: slice) -> None:
    turn = await kept_turn(world)

    for path in (turn["video_url"], API + "avatars/grey/idle"):
        whole = (await get(world, path)).content
        answer = await get(world, path, Range=asked)

        assert (answer.status_code, answer.content) == (status, whole[part])
        assert answer.headers["content-length"] == str(len(whole[part]))
        assert answer.headers["accept-ranges"] == "bytes"
        if status == 206:
            first, end, _ = part.indices(len(whole))
            assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{len(whole)}"


@pytest.mark.parametrize(("is_same", "status"), [(True, 206), (False, 200)])
async def test_a_part_is_sent_only_of_what_the_player_has(
    world: World, is_same: bool, status: int
) -> None:
    turn = await kept_turn(world)

    for path in (turn["video_url"], API + "avatars/grey/idle"):
        tag = (await get(world, path)).headers["etag"] if is_same else '"another"'
        answer = await get(world, path, **{"Range": "bytes=2-3", "If-Range": tag})
        assert answer.status_code == status


@pytest.mark.parametrize("asked", ["bytes=9999999-", "bytes=9999999-99999999", "bytes=-0"])
async def test_a_part_beyond_the_end_is_not_satisfiable(world: World, asked: str) -> None:
    turn = await kept_turn(world)

    for path in (turn["video_url"], API + "avatars/grey/idle"):
        n_bytes = len((await get(world, path)).content)
        answer = await get(world, path, Range=asked)
        assert problem(answer) == (416, "range_not_satisfiable")
        assert answer.headers["content-range"] == f"bytes */{n_bytes}"


async def test_everything_can_be_asked_about_without_its_body(world: World) -> None:
    turn = await kept_turn(world)
    paths = [
        "/", "/health", "/metrics", "/docs", "/docs/start.js", "/docs/swagger-ui.css",
        "/openapi.json", API + "avatars", API + "voices", API + "avatars/grey/thumbnail",
        API + "avatars/grey/idle", API + f"sessions/{turn['session_id']}",
        API + f"turns/{turn['turn_id']}", turn["video_url"], "/nothing",
    ]  # fmt: skip

    async with world.client() as client:
        for path in paths:
            got, asked = await client.get(path), await client.head(path)
            assert (asked.status_code, asked.content) == (got.status_code, b""), path
            assert asked.headers["content-length"] == str(len(got.content))
            assert asked.headers["content-type"] == got.headers["content-type"]
        assert (await client.head(turn["video_url"])).headers["accept-ranges"] == "bytes"
        assert (await client.head(API + "chat")).status_code == 405


@pytest.mark.parametrize("path", ["sessions/{}", "turns/{}", "turns/{}/video"])
@pytest.mark.parametrize("name", ["unknown-id", "short", "x" * 65, "..%2f..%2fetc", "%00%00%00%00"])
async def test_ids_that_do_not_exist(world: World, path: str, name: str) -> None:
    assert problem(await get(world, API + path.format(name))) == (404, "not_found")


async def test_what_has_expired_is_not_found(tmp_path: Path) -> None:
    time_s = 1000.0
    world = make_world(tmp_path, clock=lambda: time_s, retention_s=60)
    turn = await kept_turn(world)

    time_s += 60

    for path in (API + f"turns/{turn['turn_id']}", turn["video_url"]):
        assert problem(await get(world, path)) == (404, "not_found")


# avatars and voices


async def test_built_in_avatars_are_listed(world: World) -> None:
    assert (await get(world, API + "avatars")).json() == [
        {
            "id": name,
            "name": name.title(),
            "width": 64,
            "height": 64,
            "thumbnail_url": f"/api/v1/avatars/{name}/thumbnail",
            "idle_url": f"/api/v1/avatars/{name}/idle",
            "builtin": True,
            "controls": [{"name": "smile", "minimum": 0.0, "maximum": 1.0, "default": 0.5}],
        }
        for name in ("grey", "green")
    ]


async def test_voices_are_listed(world: World) -> None:
    assert (await get(world, API + "voices")).json() == [
        {"id": "low", "name": "Low", "languages": ["en"], "builtin": True, "cloned": False},
        {"id": "alta", "name": "Alta", "languages": ["es"], "builtin": True, "cloned": False},
    ]


async def test_a_thumbnail_is_the_face_at_rest(world: World) -> None:
    answer = await get(world, API + "avatars/grey/thumbnail")

    assert answer.headers["content-type"] == "image/webp"
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (288, 288, 3)
    assert abs(float(picture.mean()) - 128) < 3


async def test_an_unchanged_thumbnail_is_not_sent_again(world: World) -> None:
    first = await get(world, API + "avatars/grey/thumbnail")
    again = await get(
        world, API + "avatars/grey/thumbnail", **{"If-None-Match": first.headers["etag"]}
    )

    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("kind", ["avatars", "voices"])
async def test_what_is_built_in_stays(world: World, kind: str) -> None:
    built_in = {"avatars": "grey", "voices": "low"}[kind]
    async with world.client() as client:
        deleted = await client.delete(API + f"{kind}/{built_in}")
        unknown = await client.delete(API + f"{kind}/nobody")

    assert problem(deleted) == (403, "forbidden")
    assert problem(unknown) == (404, "not_found")


# keys, quotas, origins


def keys_file(tmp_path: Path, *keys: str) -> Path:
    lines = ["# who may ask", *(hashlib.sha256(k.encode()).hexdigest() + "  # one" for k in keys)]
    path = tmp_path / "keys"
    path.write_text("\n".join(lines) + "\n")
    return path


async def test_without_a_key_only_the_page_and_health_answer(tmp_path: Path) -> None:
    world = make_world(tmp_path / "data", api_keys_file=keys_file(tmp_path, "open sesame"))

    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic open sesame"}):
        for path in (API + "voices", "/metrics"):
            answer = await get(world, path, **header)
            assert problem(answer) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
    for path in ("/health", "/docs"):
        assert (await get(world, path)).status_code == 200


async def test_any_of_the_keys_opens(tmp_path: Path) -> None:
    world = make_world(tmp_path / "data", api_keys_file=keys_file(tmp_path, "one", "two"))

    for key in ("one", "two"):
        answer = await get(world, API + "voices", Authorization=f"Bearer {key}")
        assert answer.status_code == 200


async def test_each_key_has_its_own_quota(tmp_path: Path) -> None:
    world = make_world(
        tmp_path / "data", api_keys_file=keys_file(tmp_path, "a", "b"), requests_per_minute=2
    )

    answers = [await get(world, API + "voices", Authorization="Bearer a") for _ in range(3)]
    other = await get(world, API + "voices", Authorization="Bearer b")

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert problem(answers[2]) == (429, "rate_limited")
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60
    assert other.status_code == 200


@pytest.mark.parametrize("content", ["", "# none\n", "open sesame\n", "abc123\n"])
def test_a_file_that_holds_no_hashes_is_refused_at_the_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys"
    path.write_text(content)

    with pytest.raises(ConfigError):
        make_world(tmp_path / "data", api_keys_file=path)


def test_a_missing_file_of_keys_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        make_world(tmp_path / "data", api_keys_file=tmp_path / "none")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_strangers_are_not_served_without_keys(host: str) -> None:
    with pytest.raises(ConfigError, match="api_keys_file"):
        check_exposure(host, None)
    check_exposure(host, Path("keys"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_this_machine_needs_no_keys(host: str) -> None:
    check_exposure(host, None)


async def test_other_origins_are_told_nothing_unless_allowed(tmp_path: Path) -> None:
    closed = make_world(tmp_path / "closed")
    open_ = make_world(tmp_path / "open", allowed_origins=("https://a.example",))

    silent = await get(closed, "/health", Origin="https://a.example")
    allowed = await get(open_, API + "nothing", Origin="https://a.example")
    refused = await get(open_, "/health", Origin="https://b.example")

    assert "access-control-allow-origin" not in silent.headers
    assert allowed.headers["access-control-allow-origin"] == "https://a.example"
    assert "X-Turn-Id" in allowed.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in refused.headers


async def test_a_browser_may_ask_first_without_a_key(tmp_path: Path) -> None:
    world = make_world(
        tmp_path / "data",
        api_keys_file=keys_file(tmp_path, "k"),
        allowed_origins=("https://a.example",),
    )

    async with world.client() as client:
        answer = await client.options(
            API + "chat",
            headers={
                "Origin": "https://a.example",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            },
        )

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        {"Origin": "https://b.example"},
        {"Access-Control-Request-Method": "PUT"},
        {"Access-Control-Request-Headers": "x-other"},
    ],
)
async def test_what_a_browser_may_not_do_is_a_problem(
    tmp_path: Path, asked: dict[str, str]
) -> None:
    world = make_world(tmp_path, allowed_origins=("https://a.example",))
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST", **asked}

    async with world.client() as client:
        answer = await client.options(API + "chat", headers=headers)

    assert problem(answer) == (403, "forbidden")
    assert "access-control-allow-origin" not in answer.headers


# what goes on beside the requests


async def test_the_default_face_is_drawn_before_anybody_asks(world: World) -> None:
    async with world.app.router.lifespan_context(world.app), asyncio.timeout(10):
        await world.drawn.wait()

    assert world.drawn_faces == ["grey"]
    assert (await get(world, API + "avatars/grey/idle")).content == b"idle video of grey"
    assert world.drawn_faces == ["grey"]


async def test_expired_turns_are_erased_without_being_asked_for(tmp_path: Path) -> None:
    time_s = 1000.0
    world = make_world(tmp_path, clock=lambda: time_s, retention_s=60, sweep_every_s=0.01)
    await kept_turn(world)
    time_s += 60
    swept = asyncio.Event()
    sweep = world.store.sweep
    loop = asyncio.get_running_loop()

    def watched() -> None:
        sweep()
        loop.call_soon_threadsafe(swept.set)

    world.store.sweep = watched  # type: ignore[method-assign]
    async with world.app.router.lifespan_context(world.app), asyncio.timeout(10):
        await swept.wait()

    assert world.media() == []


async def test_what_runs_in_the_background_begins_and_ends_with_the_application(
    tmp_path: Path,
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def failing() -> None:
        raise RuntimeError("by itself")

    world = make_world(tmp_path, background=(failing, work))
    async with world.app.router.lifespan_context(world.app), asyncio.timeout(10):
        await begun.wait()
        assert (await get(world, "/health")).status_code == 200
        assert not ended.is_set()

    assert ended.is_set()


async def test_visitors_who_come_together_wait_for_one_drawing(world: World) -> None:
    path = API + "avatars/green/idle"
    answers = await asyncio.gather(*(get(world, path) for _ in range(3)))

    assert [answer.content for answer in answers] == [b"idle video of green"] * 3
    assert world.drawn_faces == ["green"]
