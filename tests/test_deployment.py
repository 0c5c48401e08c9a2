"""Dockerfile, docker-compose.yml and Kubernetes manifests, as far as they are checked without an engine."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import typer
import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig

from service.api.metrics import WorkFigures
from service.client.cli import app
from service.jobs.figures import Figures
from service.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = ROOT / "docker-compose.yml"
MANIFESTS = sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))
# KEDA's and kustomize's own kinds have no schema that comes with Kubernetes.
FOREIGN = ("keda.sh/", "kustomize.config.k8s.io/")
LINT = YamlLintConfig("""
extends: default
rules:
  line-length: {max: 120}
  document-start: disable
  braces: {max-spaces-inside: 0}
  comments: {min-spaces-from-content: 1}
""")
SECRETIVE = re.compile(r"PASSWORD|SECRET|KEY\b|TOKEN")


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def compose() -> dict[str, Any]:
    (found,) = documents(COMPOSE)
    return found


def ours() -> dict[str, dict[str, Any]]:
    """The services of compose that run an image of ours."""
    return {name: each for name, each in compose()["services"].items() if "build" in each}


def workloads() -> dict[str, dict[str, Any]]:
    return {
        each["metadata"]["name"]: each
        for path in MANIFESTS
        for each in documents(path)
        if each["kind"] == "Deployment"
    }


def interpolated(text: str) -> str:
    """`${NAME:-default}` as compose reads it; what has no default becomes a word."""
    return re.sub(r"\$\{\w+:?[-?]?([^}]*)\}", lambda found: found[1] or "word", text)


def commands() -> Iterator[Any]:
    for name, service in ours().items():
        yield pytest.param(shlex.split(interpolated(service["command"])), id=f"compose-{name}")
    for name, workload in workloads().items():
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        yield pytest.param([str(word) for word in container["args"]], id=f"kubernetes-{name}")
    for number, line in enumerate(
        re.findall(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    ):
        yield pytest.param(yaml.safe_load(line), id=f"image-{number}")


@pytest.mark.parametrize("path", [COMPOSE, *MANIFESTS], ids=lambda path: path.name)
def test_yaml_is_well_kept(path: Path) -> None:
    assert [str(problem) for problem in linter.run(path.read_text(), LINT)] == []


def test_compose_keeps_to_its_schema() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", COMPOSE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_dockerfile_is_well_kept() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint has no wheel for this machine")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_keep_to_the_schemas_of_kubernetes(path: Path) -> None:
    for document in documents(path):
        if not document["apiVersion"].startswith(FOREIGN):
            kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_every_manifest_is_applied_but_the_example_of_the_secret() -> None:
    (kustomization,) = documents(ROOT / "deploy/kubernetes/kustomization.yaml")
    others = {path.name for path in MANIFESTS} - {"kustomization.yaml", "secret.example.yaml"}
    assert set(kustomization["resources"]) == others


@pytest.mark.parametrize("command", list(commands()))
def test_every_command_is_one_that_there_is(command: list[str]) -> None:
    program, *arguments = command
    if program == "python":
        assert arguments[0] == "-m"
        assert (ROOT / arguments[1].replace(".", "/")).with_suffix(".py").is_file()
        return
    assert program == "nightshift"
    group: Any = typer.main.get_command(app)
    context = click.Context(group, info_name="nightshift")
    while isinstance(group, click.Group):
        name, *arguments = arguments
        group = group.get_command(context, name)
        assert group is not None, name
    group.make_context(command[1], arguments, parent=context)


def test_every_variable_is_a_setting() -> None:
    known = {f"NIGHTSHIFT_{name.upper()}" for name in Settings.model_fields}
    for path in (COMPOSE, ROOT / "Dockerfile", ROOT / ".env.example", *MANIFESTS):
        assert set(re.findall(r"\bNIGHTSHIFT_[A-Z0-9_]+", path.read_text())) <= known, path.name


def test_what_compose_asks_for_stands_in_the_example() -> None:
    asked = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text()))
    told = set(re.findall(r"^#? ?([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert asked == told


def test_no_secret_has_a_value_or_a_default() -> None:
    for line in (ROOT / ".env.example").read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and SECRETIVE.search(name) and not line.startswith("#"):
            assert value == "", name
    for name, default in re.findall(r"\$\{(\w+)(:?[-?][^}]*)?\}", COMPOSE.read_text()):
        if SECRETIVE.search(name):
            assert default == ":?", name


@pytest.mark.parametrize("name", list(ours()))
def test_our_containers_can_do_little(name: str) -> None:
    service = ours()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service["build"]["target"] in {"api", "worker"}


def test_workers_have_no_way_out() -> None:
    handlers = {name for name, each in ours().items() if each["build"]["target"] == "worker"}
    assert handlers == {"worker", "ingest", "trainer"}
    assert all(compose()["services"][name]["networks"] == ["back"] for name in handlers)
    policies = {
        each["metadata"]["name"]: each["spec"] for each in documents(ROOT / "deploy/kubernetes/network.yaml")
    }
    assert policies["nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ways_out = {name for name, spec in policies.items() if "egress" in spec}
    assert ways_out == {"to-the-servers", "webhooks"}
    assert policies["webhooks"]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "reconciler"}


def test_nothing_is_published_beyond_this_machine() -> None:
    ports = [port for each in compose()["services"].values() for port in each.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_redis_keeps_everything_and_forgets_nothing() -> None:
    command = compose()["services"]["redis"]["command"]
    for words in ("--appendonly yes", "--maxmemory-policy noeviction", "--requirepass"):
        assert words in command


def test_images_of_others_are_pinned() -> None:
    images = [each["image"] for name, each in compose()["services"].items() if name not in ours()]
    images += re.findall(r"^FROM (\S+:\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert len(images) == 5
    assert all(re.fullmatch(r"\S+:[0-9]+\.[0-9]+\S*", image) for image in images)


@pytest.mark.parametrize("name", list(workloads()))
def test_pods_are_as_restricted_as_kubernetes_can_make_them(name: str) -> None:
    pod = workloads()[name]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]
    assert pod["terminationGracePeriodSeconds"] >= 15


def test_scaling_asks_for_figures_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = Figures({}, (), {"shards": 1.0}, {}, 0)
    monkeypatch.setattr("service.api.metrics.look", lambda _database: figures)
    told = {metric.name for metric in WorkFigures(_Services())._database()}  # type: ignore[arg-type]
    for document in documents(ROOT / "deploy/kubernetes/scaling.yaml"):
        assert document["spec"]["scaleTargetRef"]["name"] in workloads()
        (trigger,) = document["spec"]["triggers"]
        asked = set(re.findall(r"\bnightshift_\w+", trigger["metadata"]["query"]))
        assert asked
        assert asked <= told


class _Services:
    database = None


@pytest.mark.parametrize(
    ("lock", "has_torch"), [("requirements-api.lock", False), ("requirements-worker.lock", True)]
)
def test_each_image_has_its_part_of_the_lock(lock: str, has_torch: bool) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    own, whole = (
        set(re.findall(r"^([a-z0-9-]+==\S+)", each, re.MULTILINE))
        for each in (text, (ROOT / "requirements.lock").read_text())
    )
    assert own < whole
    assert any(each.startswith("torch==") for each in own) == has_torch
    packages = re.findall(r"^[a-z].*\n(.*)", text, re.MULTILINE)
    assert all("--hash=sha256:" in following for following in packages)
    assert not any(each.startswith(("pytest==", "schemathesis==", "hypothesis==")) for each in own)
