"""The Kubernetes files say what the profile says, and fit schemas, Ray's readers and each other."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from cluster.kuberay import generate
from graph.config import AppConfig
from graph.disk import disk_sizes
from graph.preflight import ROOT, LaunchOptions, filled_profile
from tests.dockerfile import read_dockerfile

KUBERAY = ROOT / "cluster" / "kuberay"
KUBERNETES = "1.35"
SERVICE: dict[str, Any] = yaml.safe_load(generate.MANIFEST.read_text())
CLUSTER = SERVICE["spec"]["rayClusterConfig"]
HEAD, (FRONT, L4) = CLUSTER["headGroupSpec"], CLUSTER["workerGroupSpecs"]
SERVE: dict[str, Any] = yaml.safe_load(SERVICE["spec"]["serveConfigV2"])
[APPLICATION] = SERVE["applications"]
PLATFORM: list[dict[str, Any]] = list(yaml.safe_load_all((KUBERAY / "platform.yaml").read_text()))
MODELS: list[dict[str, Any]] = list(yaml.safe_load_all((KUBERAY / "models.yaml").read_text()))
SCHEMA: dict[str, Any] = yaml.safe_load((KUBERAY / "rayservice.schema.yaml").read_text())


def platform(kind: str, name: str) -> dict[str, Any]:
    return next(d for d in PLATFORM if (d["kind"], d["metadata"]["name"]) == (kind, name))


def pod(group: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = group["template"]["spec"]
    return spec


def container(group: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = pod(group)["containers"][0]
    return first


def environment(group: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container(group)["env"]}


def labels() -> dict[str, dict[str, str]]:
    """Of every kind of pod that the files make."""
    redis = platform("StatefulSet", "realtime-avatar-redis")["spec"]["template"]
    templates = [group["template"] for group in (HEAD, FRONT, L4)]
    return {
        t["metadata"]["labels"]["realtime-avatar/part"]: t["metadata"]["labels"]
        for t in [*templates, redis]
    }


def selected(selector: dict[str, Any]) -> set[str]:
    """The parts whose pods a selector means."""
    found = set()
    for part, marks in labels().items():
        is_equal = all(marks.get(k) == v for k, v in selector.get("matchLabels", {}).items())
        conditions = selector.get("matchExpressions", [])
        assert {c["operator"] for c in conditions} <= {"In"}
        if is_equal and all(marks.get(c["key"]) in c["values"] for c in conditions):
            found.add(part)
    return found


# What is written is what is generated


def test_the_manifest_follows_from_the_profile() -> None:
    assert generate.MANIFEST.read_text() == generate.rendered(), (
        "run: python -m cluster.kuberay.generate"
    )


def test_serve_is_told_what_the_profile_says_and_where_it_runs() -> None:
    options = LaunchOptions(
        "production", "0.0.0.0", 8000, 8265, generate.DATA_DIR, api_keys_file=generate.KEYS_FILE
    )
    expected = filled_profile(options, environment={})
    for deployment in expected["applications"][0]["deployments"]:
        if not deployment["ray_actor_options"].get("num_gpus"):
            deployment["ray_actor_options"]["resources"] = {"front": 0.001}
    assert expected == SERVE
    assert SERVE["proxy_location"] == "EveryNode"  # the head takes no callers


def test_the_graph_takes_the_configuration() -> None:
    config = AppConfig.model_validate(APPLICATION["args"])
    assert config.ingress.api_keys_file == generate.KEYS_FILE


# Schemas


def test_the_rayservice_fits_the_fields_of_kuberay() -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(SERVICE)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ((), "specs"),
        (("spec",), "rayClusterDeletionDelay"),
        (("spec", "rayClusterConfig"), "gcsFaultTolerance"),
        (("spec", "rayClusterConfig", "workerGroupSpecs", 0), "maxReplica"),
        (("spec", "rayClusterConfig", "authOptions"), "token"),
    ],
)
def test_a_misspelt_field_of_kuberay_is_found(path: tuple[Any, ...], field: str) -> None:
    wrong = yaml.safe_load(generate.MANIFEST.read_text())
    place = wrong
    for step in path:
        place = place[step]
    place[field] = {}
    with pytest.raises(jsonschema.ValidationError, match=field):
        jsonschema.Draft202012Validator(SCHEMA).validate(wrong)


@pytest.mark.parametrize("group", [HEAD, FRONT, L4], ids=["head", "front", "l4"])
def test_the_pods_fit_the_schema_of_kubernetes(group: dict[str, Any]) -> None:
    template = group["template"]
    metadata = {"name": "ray", **template["metadata"]}
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    kubernetes_validate.validate(whole, KUBERNETES, strict=True)


@pytest.mark.parametrize(
    "document", [*PLATFORM, *MODELS], ids=lambda d: f"{d['kind']}/{d['metadata']['name']}"
)
def test_the_platform_fits_the_schema_of_kubernetes(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_a_misspelt_field_of_kubernetes_is_found() -> None:
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    misspelt = {"containers": [{"name": "a", "readynessProbe": {}}]}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**document, "spec": misspelt}, KUBERNETES, strict=True)


# Room


def test_the_pools_hold_the_least_and_the_most_replicas() -> None:
    deployments = APPLICATION["deployments"]
    least, most = (
        generate.cards_needed(deployments, bound, 7) for bound in ("min_replicas", "max_replicas")
    )
    assert (L4["minReplicas"], L4["replicas"]) == (least, least)
    assert L4["maxReplicas"] == most + generate.SURGE_CARDS
    assert (FRONT["minReplicas"], FRONT["maxReplicas"]) == (1, 1)
    front = [
        d["ray_actor_options"]["num_cpus"] * d["autoscaling_config"]["max_replicas"]
        for d in deployments
        if not d["ray_actor_options"].get("num_gpus")
    ]
    assert float(container(FRONT)["resources"]["limits"]["cpu"]) > sum(front)


def stages(**gpus_and_replicas: tuple[float, int]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "autoscaling_config": {"min_replicas": 1, "max_replicas": n},
            "ray_actor_options": {"num_gpus": gpus, "num_cpus": 1},
        }
        for name, (gpus, n) in gpus_and_replicas.items()
    ]


@pytest.mark.parametrize(
    ("made", "n_cpus", "cards"),
    [
        (stages(asr=(0.15, 1), tts=(0.35, 1), avatar=(0.5, 1)), 8, 1),
        (stages(asr=(0.15, 1), tts=(0.35, 1), avatar=(0.5, 2)), 8, 2),
        (stages(asr=(0.2, 5)), 8, 1),
        (stages(asr=(0.2, 5)), 4, 2),  # the cores of one machine are not enough
        (stages(llm=(0, 9)), 8, 0),
    ],
)
def test_cards_are_counted_by_what_fits_on_one(
    made: list[dict[str, Any]], n_cpus: float, cards: int
) -> None:
    assert generate.cards_needed(made, "max_replicas", n_cpus) == cards


def test_a_replica_that_fits_on_no_machine_is_an_error() -> None:
    with pytest.raises(ValueError, match="fits on no machine"):
        generate.cards_needed(stages(avatar=(2.0, 1)), "min_replicas", 8)


def test_the_disks_hold_an_hour_of_every_card_and_all_weights() -> None:
    sizes = disk_sizes("production")
    assert gigabytes("realtime-avatar-data") * 1000 >= sizes.video * L4["maxReplicas"] + sizes.logs
    assert gigabytes("realtime-avatar-models") * 1000 >= sizes.models


def gigabytes(claim: str) -> int:
    asked_for = platform("PersistentVolumeClaim", claim)["spec"]["resources"]["requests"]["storage"]
    return int(asked_for.removesuffix("Gi"))


# Ending without cutting an answer short


def test_whatever_ends_lets_the_longest_answer_end_first() -> None:
    longest_s = generate.longest_answer_s(APPLICATION["deployments"])
    ingress = next(d for d in APPLICATION["deployments"] if d["name"] == "ingress")
    assert longest_s == ingress["graceful_shutdown_timeout_s"]
    assert SERVICE["spec"]["rayClusterDeletionDelaySeconds"] > longest_s
    assert SERVE["http_options"]["request_timeout_s"] > longest_s
    for group in (FRONT, L4):
        *_, drain_s = container(group)["lifecycle"]["preStop"]["exec"]["command"]
        assert longest_s < int(drain_s) < pod(group)["terminationGracePeriodSeconds"]
        assert environment(group).get("RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S") in (
            None, str(longest_s),
        )  # fmt: skip


def test_haproxy_gives_old_connections_as_long_as_the_longest_answer() -> None:
    told = environment(FRONT)
    is_there = told["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert is_there == ("RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S" in told)


def test_a_pod_is_emptied_by_a_program_that_is_in_the_image() -> None:
    for group in (FRONT, L4):
        program, flag, module, _ = container(group)["lifecycle"]["preStop"]["exec"]["command"]
        assert (program, flag) == ("python", "-m")
        assert find_spec(module) is not None


# All parts of one whole


def test_all_nodes_have_the_same_environment_and_image() -> None:
    assert environment(HEAD) == environment(FRONT) == environment(L4)
    assert len({container(group)["image"] for group in (HEAD, FRONT, L4)}) == 1


def test_pods_run_as_the_user_of_the_image() -> None:
    [user] = read_dockerfile(ROOT / "cluster" / "docker" / "Dockerfile")[-1].all("USER")
    number = int(user.rest.partition(":")[0])
    for group in (HEAD, FRONT, L4):
        security = pod(group)["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"]) == (True, number)
        assert container(group)["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_only_the_interface_is_open_to_everybody() -> None:
    policies = [d for d in PLATFORM if d["kind"] == "NetworkPolicy"]
    open_ports = {
        (part, port["port"])
        for policy in policies
        for rule in policy["spec"]["ingress"]
        for port in rule.get("ports", [{"port": "all"}])
        for part in selected(policy["spec"]["podSelector"])
        if "from" not in rule
    }
    assert open_ports == {("front", 8000), ("l4", 8000)}
    behind = set().union(*(selected(policy["spec"]["podSelector"]) for policy in policies))
    assert behind == set(labels())


def test_nodes_reach_each_other_and_the_head_its_redis() -> None:
    nodes = platform("NetworkPolicy", "realtime-avatar-nodes")["spec"]
    redis = platform("NetworkPolicy", "realtime-avatar-redis")["spec"]
    assert selected(nodes["podSelector"]) == {"head", "front", "l4"}
    assert selected(nodes["ingress"][0]["from"][0]["podSelector"]) == {"head", "front", "l4"}
    assert selected(redis["podSelector"]) == {"redis"}
    assert selected(redis["ingress"][0]["from"][0]["podSelector"]) == {"head"}


def test_services_and_budgets_mean_pods_that_there_are() -> None:
    service = platform("Service", "realtime-avatar-redis")
    [port] = service["spec"]["ports"]
    assert selected({"matchLabels": service["spec"]["selector"]}) == {"redis"}
    name = service["metadata"]["name"]
    assert CLUSTER["gcsFaultToleranceOptions"]["redisAddress"] == f"{name}:{port['port']}"
    budget = platform("PodDisruptionBudget", "realtime-avatar-l4")
    assert selected(budget["spec"]["selector"]) == {"l4"}


def references(node: Any, key: str) -> Iterator[Any]:
    """Every value under ``key``, at any depth."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from references(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from references(value, key)


def test_every_claim_that_a_pod_mounts_is_made() -> None:
    mounted = {claim["claimName"] for claim in references(SERVICE, "persistentVolumeClaim")}
    made = {d["metadata"]["name"] for d in PLATFORM if d["kind"] == "PersistentVolumeClaim"}
    assert mounted == made


def test_secrets_are_named_and_never_written() -> None:
    both = [SERVICE, *PLATFORM]
    by_key = {(r["name"], r["key"]) for r in references(both, "secretKeyRef")}
    mounted = {(s["secretName"], s["items"][0]["key"]) for s in references(both, "secret")}
    token = {(CLUSTER["authOptions"]["secretName"], "auth_token")}
    described = set(
        re.findall(
            r"create secret generic (\S+) --from-(?:file|literal)=(\w+)",
            (KUBERAY / "platform.yaml").read_text(),
        )
    )
    assert by_key | mounted | token <= described
    as_environment = {s["name"] for s in references(both, "secretRef")}
    assert {name for name, _ in described - (by_key | mounted | token)} == as_environment
    assert "Secret" not in {d["kind"] for d in both}


def test_the_keys_and_the_store_are_where_the_server_looks_for_them() -> None:
    for group in (HEAD, FRONT, L4):
        [mount] = [m for m in container(group)["volumeMounts"] if m["name"] == "keys"]
        assert (mount["mountPath"], mount["readOnly"]) == (str(generate.KEYS_FILE.parent), True)
    mounts = {m["name"]: m["mountPath"] for m in container(FRONT)["volumeMounts"]}
    assert mounts["data"] == APPLICATION["args"]["ingress"]["data_dir"]
    models = next(m for m in container(L4)["volumeMounts"] if m["name"] == "models")
    assert (models["mountPath"], models["readOnly"]) == ("/models", True)
    [said] = [
        instruction.rest
        for instruction in read_dockerfile(ROOT / "cluster" / "docker" / "Dockerfile")[-1].all(
            "ENV"
        )
    ]
    assert f"MODELS_DIR={models['mountPath']}" in said


def test_a_job_fills_the_disk_of_which_every_card_reads_a_clone() -> None:
    source, job = MODELS
    clone = platform("PersistentVolumeClaim", "realtime-avatar-models")["spec"]
    pod = job["spec"]["template"]["spec"]
    (filler,) = pod["containers"]
    name = source["metadata"]["name"]
    assert clone["dataSource"] == {"kind": "PersistentVolumeClaim", "name": name}
    assert clone["resources"] == source["spec"]["resources"]
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": name}
    assert filler["volumeMounts"] == [{"name": "models", "mountPath": "/models"}]
    assert filler["image"] == container(L4)["image"]
    assert filler["command"][-2:] == ["--profile", APPLICATION["args"]["ingress"]["profile"]]


def test_probes_and_policies_know_the_ports_that_the_pods_have() -> None:
    ports = {p["containerPort"] for g in (HEAD, FRONT, L4) for p in container(g)["ports"]}
    assert SERVE["http_options"]["port"] in ports
    agents = {52365}  # of Ray's agent; KubeRay tells ``ray start`` so itself
    probed = {get["port"] for get in references([HEAD, FRONT, L4], "httpGet")}
    assert probed <= ports | agents
