"""Who may import whom: the house rules, checked by reading the sources."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("deployments", "graph", "web")
STAGES = {"vad", "asr", "llm", "tts", "avatar"}
# The launcher and its checks put the graph together with the ingress, as graph/app.py does.
COMPOSERS = {
    "graph.app", "graph.config", "graph.engines", "graph.environment", "graph.launch",
    "graph.machine", "graph.models", "graph.needs", "graph.preflight",
}  # fmt: skip
MAY_IMPORT_RAY = {
    "graph.app", "graph.calls", "graph.gatekeeper", "graph.handles", "graph.instruments",
    "graph.launch", "graph.router", "web.ingress",
}  # fmt: skip
FINDS_FACES = {"deployments.avatar.ditto.frame", "deployments.avatar.ditto.register"}
MODEL_PACKAGES = {
    "moonshine_voice", "espeakng_loader", "onnxruntime", "faster_whisper", "torch", "ctranslate2",
    "google", "openai", "httpx2", "onnx", "onnxscript", "tensorrt", "tensorrt_rtx",
}  # fmt: skip
# Networks are classes of torch's, so these modules are what is to be imported on first use.
MADE_OF_TORCH = ("deployments.avatar.ditto.networks", "deployments.avatar.ditto.grid_sample")


def sources() -> list[Path]:
    return sorted(path for part in PARTS for path in (ROOT / part).rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {full_name(node.module, alias.name) for alias in node.names}
    return found


def full_name(module: str, name: str) -> str:
    """``from package import module`` imports the module, not only the package."""
    folder = ROOT.joinpath(*module.split("."))
    is_module = (folder / f"{name}.py").exists() or (folder / name / "__init__.py").exists()
    return f"{module}.{name}" if is_module else module


def ours(path: Path) -> set[str]:
    return {name for name in imports_of(path) if name.split(".")[0] in PARTS}


def is_allowed(module: str, imported: str) -> bool:
    parts, target = module.split("."), imported.split(".")
    shared = imported in ("deployments.types", "deployments.errors", "deployments.resample")
    is_weights = imported == "deployments.weights"
    of_fakes = imported in ("deployments.cost_model", "deployments.logical_gpu")
    if module in COMPOSERS:
        return True
    if module in ("deployments.types", "deployments.errors"):
        return False
    if module == "deployments.weights":
        return imported in ("deployments.errors", "deployments.config")
    if parts[:2] == ["deployments", "fetch"]:
        return imported == "deployments.weights" or target[:2] == ["deployments", "fetch"]
    if module in ("deployments.config", "deployments.registry", "deployments.streams"):
        return shared or imported == "deployments.config"
    if module in ("deployments.cost_model", "deployments.logical_gpu"):
        return shared or imported in ("deployments.config", "deployments.cost_model")
    if module in ("deployments.caller", "deployments.resample"):
        return imported == "deployments.types"
    if module.startswith("deployments.faces"):  # a model, but no stage: runs inside the ingress
        return shared or imported.startswith("deployments.faces")
    if parts[0] == "deployments" and parts[1] in STAGES:
        own = target[:2] == parts[:2]
        if parts[-1] == "deployment":
            return own or shared or target[1] in ("caller", "config", "registry", "streams")
        is_fakes = of_fakes and parts[-1] == "fake"
        # Language models are asynchronous, and a chain is put together of engines by their names.
        is_streams = imported == "deployments.streams" and parts[1] == "llm"
        is_chain = imported == "deployments.registry" and module == "deployments.llm.chain"
        # A face has to be found in a photograph, where nobody has done so before, and framed.
        is_face = target[:2] == ["deployments", "faces"] and module in FINDS_FACES
        by_name = is_fakes or is_streams or is_chain or imported == "deployments.config" or is_face
        return (own and target[-1] != "deployment") or shared or is_weights or by_name
    if parts[0] == "graph":
        common = target[0] == "deployments" and target[1] in (
            "types", "errors", "caller", "config", "streams",
        )  # fmt: skip
        return common or (target[0] == "graph" and imported not in COMPOSERS)
    common = target[0] == "deployments" and target[1] in (
        "types", "errors", "caller", "config", "registry", "streams",
    )  # fmt: skip
    return (
        common
        or target[0] == "web"
        or target[:2] in (["deployments", "vad"], ["deployments", "faces"])
        or (target[0] == "graph" and imported not in COMPOSERS)
    )


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_a_module_imports_only_what_the_house_allows(path: Path) -> None:
    module = module_of(path)
    if module == "deployments.registry":  # names its engines as text, imports them on first use
        assert ours(path) == {"deployments.errors"}
        return
    assert {name for name in ours(path) if not is_allowed(module, name)} == set()


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_ray_is_imported_in_few_places(path: Path) -> None:
    module = module_of(path)
    if module in MAY_IMPORT_RAY or module.endswith(".deployment"):
        return
    assert {name for name in imports_of(path) if name.split(".")[0] == "ray"} == set()


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_model_packages_are_never_imported_at_module_top(path: Path) -> None:
    tree = ast.parse(path.read_text())
    top = {
        name.split(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    allowed = {"torch"} if module_of(path).startswith(MADE_OF_TORCH) else set()
    assert top & MODEL_PACKAGES <= allowed
