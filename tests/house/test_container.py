"""the container files keep their rules, and every rule would notice if they did not"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pillarbox.cli.main import COMMANDS
from pillarbox.settings import all_rooms, as_served, check, read_sources
from pillarbox.wiring import life
from tests.house.tree import ROOT, own_files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
(SCRIPT,) = PROJECT["project"]["scripts"]
SECRETS = "/run/secrets/"
# What stands in the secret files, so that settings can be checked without them.
SAMPLES = {
    "database_url": "postgresql://pillarbox:word@postgres/pillarbox",
    "secret_key": "5a" * 32,
}
OLDEST_POSTGRES = 15
DIGEST = "(?:@sha256:[0-9a-f]{64})?"
# One of each that must never reach a builder, whoever runs it.
PRIVATE = (
    ".git/config",
    ".venv/pyvenv.cfg",
    ".env",
    "secrets/secret_key",
    "pillarbox-data/pillarbox.db",
    "src/pillarbox/__pycache__/x.pyc",
    "docs/index.md",
    "tests/conftest.py",
)

# --- YAML, as far as compose.yaml uses it ----------------------------------------------------

Line = tuple[int, int, str]
"""Number, indent, text."""
_KEY = re.compile(r"(<<|[A-Za-z0-9_.-]+):(?: +(.+))?")
_QUOTED = re.compile(r'"([^"\\]*)"')
_PLAIN = re.compile(r"[A-Za-z0-9./$-](?:(?! #|: ).)*")


class NotRead(ValueError):
    """More YAML than is read here: write it simpler."""


def read_yaml(text: str) -> dict[str, Any]:
    """Mappings, lists of scalars, anchors of mappings and merges; every scalar is text."""
    if "\t" in text:
        raise NotRead("tabs")
    lines = [
        (number, len(line) - len(line.lstrip(" ")), line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    anchors: dict[str, dict[str, Any]] = {}
    found, rest = _block(lines, 0, anchors)
    if rest or not isinstance(found, dict):
        raise NotRead(f"line {rest[0][0] if rest else 1}: indent")
    return found


def _block(
    lines: list[Line], indent: int, anchors: dict[str, dict[str, Any]], name: str = ""
) -> tuple[Any, list[Line]]:
    """What stands at `indent` from here on, and the lines behind it."""
    if lines[0][2].startswith("- "):
        items = []
        while lines and lines[0][1] == indent and lines[0][2].startswith("- "):
            items.append(_scalar(lines[0][2][2:].strip(), lines[0][0]))
            lines = lines[1:]
        return items, lines
    merged: dict[str, Any] = {}
    own: dict[str, Any] = {}
    while lines and lines[0][1] == indent:
        number, _, text = lines[0]
        match = _KEY.fullmatch(text)
        if match is None or match[1] in own:
            raise NotRead(f"line {number}: {text}")
        key, value, lines = match[1], match[2] or "", lines[1:]
        if key == "<<":
            if value[1:] not in anchors or own:
                raise NotRead(f"line {number}: a merge comes first and names an anchor above it")
            merged = anchors[value[1:]]
        elif value and not value.startswith("&"):
            own[key] = _scalar(value, number)
        elif lines and lines[0][1] > indent:
            own[key], lines = _block(lines, lines[0][1], anchors, value[1:])
        else:
            own[key] = None
    if name:
        anchors[name] = merged | own
    return merged | own, lines


def _scalar(text: str, number: int) -> Any:
    if text.startswith("[") and text.endswith("]"):
        return [_scalar(item.strip(), number) for item in text[1:-1].split(",")]
    if quoted := _QUOTED.fullmatch(text):
        return quoted[1]
    if not _PLAIN.fullmatch(text):
        raise NotRead(f"line {number}: {text}")
    return text


# --- the three files -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Instruction:
    """One of a Dockerfile, its lines joined."""

    word: str
    rest: str

    @property
    def commands(self) -> list[str]:
        """The commands of a RUN."""
        return [part.strip() for part in re.split(r"&&|;", self.rest)]

    @property
    def exec_form(self) -> list[str]:
        """The words of a command in exec form; empty where it is not."""
        try:
            words = json.loads(re.sub(r"^(?:--\S+ +)*(?:CMD +)?", "", self.rest))
        except ValueError:
            return []
        return words if isinstance(words, list) else []


@dataclass(frozen=True, slots=True)
class Stage:
    """What follows one FROM."""

    image: str
    name: str
    instructions: tuple[Instruction, ...]

    def all(self, word: str) -> list[str]:
        """What is said after each `word`."""
        return [each.rest for each in self.instructions if each.word == word]

    def last(self, word: str) -> Instruction:
        """The one that counts."""
        found = [each for each in self.instructions if each.word == word]
        return found[-1] if found else Instruction(word, "")

    @property
    def runs(self) -> list[str]:
        """Every command that is run."""
        return [part for each in self.instructions if each.word == "RUN" for part in each.commands]

    @property
    def environment(self) -> dict[str, str]:
        """All ENV of it."""
        return dict(pair for rest in self.all("ENV") for pair in _pairs(rest))


@dataclass(frozen=True)
class Files:
    """Dockerfile, .dockerignore and compose.yaml."""

    dockerfile: str
    ignore: str
    compose: str

    @cached_property
    def instructions(self) -> list[Instruction]:
        """Of the whole Dockerfile."""
        kept = [line for line in self.dockerfile.splitlines() if not line.lstrip().startswith("#")]
        joined = re.sub(r"\\\n\s*", "", "\n".join(kept))
        words = [line.strip().split(None, 1) for line in joined.splitlines() if line.strip()]
        return [Instruction(each[0], each[1] if len(each) > 1 else "") for each in words]

    @cached_property
    def arguments(self) -> dict[str, str]:
        """Every ARG with its default."""
        said = [each.rest.partition("=") for each in self.instructions if each.word == "ARG"]
        return {name: value.strip('"') for name, _, value in said}

    @cached_property
    def stages(self) -> list[Stage]:
        """In their order; the last one is what runs."""
        starts = [n for n, each in enumerate(self.instructions) if each.word == "FROM"]
        found = []
        for start, end in zip(starts, [*starts[1:], None], strict=True):
            image, _, name = self.instructions[start].rest.partition(" AS ")
            filled = re.sub(r"\$\{(\w+)\}", lambda m: self.arguments.get(m[1], ""), image.strip())
            found.append(Stage(filled, name.strip(), tuple(self.instructions[start + 1 : end])))
        return found

    @property
    def final(self) -> Stage:
        """What runs."""
        return self.stages[-1]

    @cached_property
    def document(self) -> dict[str, Any]:
        """compose.yaml."""
        return read_yaml(self.compose)

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        """All of compose.yaml."""
        found: dict[str, dict[str, Any]] = self.document["services"]
        return found

    @property
    def ours(self) -> dict[str, dict[str, Any]]:
        """Services that run Pillarbox."""
        return {n: s for n, s in self.services.items() if s["image"].startswith("pillarbox")}

    @property
    def nodes(self) -> dict[str, dict[str, Any]]:
        """Those of the cluster."""
        return {name: s for name, s in self.ours.items() if s.get("profiles")}

    @property
    def databases(self) -> dict[str, dict[str, Any]]:
        """Services that run PostgreSQL."""
        return {n: s for n, s in self.services.items() if s["image"].startswith("postgres")}

    @cached_property
    def patterns(self) -> list[tuple[bool, re.Pattern[str]]]:
        """Of .dockerignore: whether it keeps out, and what."""
        lines = [line.strip() for line in self.ignore.splitlines()]
        said = [line for line in lines if line and not line.startswith("#")]
        return [(line[0] != "!", _pattern(line.removeprefix("!"))) for line in said]

    def is_sent(self, path: str) -> bool:
        """Whether the builder gets to see a file. The last pattern that fits it or a folder of
        it decides.
        """
        parts = path.split("/")
        ways = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        kept_out = False
        for keeps_out, pattern in self.patterns:
            if any(pattern.fullmatch(way) for way in ways):
                kept_out = keeps_out
        return not kept_out


def _pairs(text: str) -> list[tuple[str, str]]:
    """NAME=value of ENV and LABEL, without quotes."""
    return [(name, value.strip('"')) for name, value in re.findall(r'(\S+?)=("[^"]*"|\S*)', text)]


def _pattern(line: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", line.strip("/"))
    meant = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meant.get(part, re.escape(part)) for part in parts))


def files() -> Files:
    """As they are."""
    names = ("Dockerfile", ".dockerignore", "compose.yaml")
    return Files(*((ROOT / name).read_text(encoding="utf-8") for name in names))


# --- rules of the Dockerfile -----------------------------------------------------------------


def base_image(it: Files) -> Iterator[str]:
    """All stages stand on one image, whose tag names a Python that we test with."""
    for stage in it.stages:
        match = re.fullmatch(rf"python:(\d+\.\d+)[\d.]*-slim-[a-z]+{DIGEST}", stage.image)
        if match is None:
            yield f"{stage.image or 'an unknown image'} is not pinned to a version and a release"
        elif not any(line.endswith(f":: {match[1]}") for line in PROJECT["project"]["classifiers"]):
            yield f"pyproject.toml does not name Python {match[1]}"
    if len({stage.image for stage in it.stages}) != 1:
        yield "an environment made with one Python does not run with another"


def final_stage(it: Files) -> Iterator[str]:
    """Nothing is built or fetched with pip where it runs."""
    if len(it.stages) < 2 or it.final.name:
        yield "what builds and what runs are two stages, the last one without a name"
    for run in it.final.runs:
        if re.search(r"\bpip\b|\bgcc\b|\bg\+\+|\bmake\b|build-essential|-dev\b", run):
            yield f"belongs into the build stage: {run}"


def system_packages(it: Files) -> Iterator[str]:
    """apt-get leaves nothing behind, in the layer in which it ran; the authorities are there."""
    runs = [each.rest for stage in it.stages for each in stage.instructions if each.word == "RUN"]
    for run in runs:
        if "apt-get install" in run:
            for wanted in ("apt-get update", "--yes", "--no-install-recommends"):
                if wanted not in run:
                    yield f"{wanted} is missing: {run}"
            if run.find("rm -rf /var/lib/apt/lists/*") < run.find("apt-get install"):
                yield f"the package lists stay: {run}"
        if re.search(r"apt-get (?:-\S+ )*(?:dist-)?upgrade|\bsudo\b|\b(?:curl|wget)\b", run):
            yield f"takes what nobody pinned: {run}"
    if not any("ca-certificates" in run for run in it.final.runs):
        yield "no certificate can be checked without ca-certificates"


def python_packages(it: Files) -> Iterator[str]:
    """Everything from an index has a hash and is no source; our own wheel takes nothing from it."""
    for stage in it.stages:
        pips = [run for run in stage.runs if re.match(r"(?:python -m )?pip\b", run)]
        for run in pips:
            words = run.split()
            if "install" in words and "--no-index" not in words:
                pinned = "--require-hashes" in words and "--only-binary :all:" in run
                if not pinned or "-r" not in words:
                    yield f"not pinned: {run}"
            elif "install" in words and "--no-deps" not in words:
                yield f"finds its dependencies itself: {run}"
            if "wheel" in words:
                wanted = {"--no-index", "--no-deps", "--no-build-isolation"}
                if not wanted <= set(words):
                    yield f"{wanted - set(words)} is missing: {run}"
        if pips and stage.environment.get("PIP_NO_CACHE_DIR") != "1":
            yield "pip keeps a cache"
    if not any("-r requirements.lock" in run for run in it.stages[0].runs):
        yield "what runs is not what requirements.lock pins"


def build_backend(it: Files) -> Iterator[str]:
    """hatchling and all it needs are taken from the lock of the tests, nothing else."""
    picked = re.search(r"awk '[^']*\^\(([a-z|-]+)\)==[^']*' requirements-test\.lock", _all_runs(it))
    if picked is None:
        yield "the build backend is not taken from requirements-test.lock"
        return
    named, needed = set(picked[1].split("|")), _closure(PROJECT["build-system"]["requires"])
    if named != needed:
        yield f"the build needs {sorted(needed)}, and takes {sorted(named)}"


def _all_runs(it: Files) -> str:
    return "\n".join(run for stage in it.stages for run in stage.runs)


def _closure(lines: Iterable[str]) -> set[str]:
    waiting, found = list(lines), set[str]()
    while waiting:
        wanted = Requirement(waiting.pop())
        name = canonicalize_name(wanted.name)
        if name not in found and (wanted.marker is None or wanted.marker.evaluate({"extra": ""})):
            found.add(name)
            waiting += importlib.metadata.requires(name) or []
    return found


def user(it: Files) -> Iterator[str]:
    """A number that is not root's, from before the entry point on; the data directory is its."""
    words = [each.word for each in it.final.instructions]
    said = it.final.last("USER").rest
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", said):
        yield f"USER {said} is no number of a user and a group"
        return
    if "RUN" in words[words.index("USER") :] or words.index("USER") > words.index("ENTRYPOINT"):
        yield "something runs as another user"
    uid, gid = said.split(":")
    runs = "\n".join(it.final.runs)
    if f"--uid {uid} --gid {gid}" not in runs or f"--gid {gid} " not in runs:
        yield f"user {said} is not made"
    (volume,) = it.final.last("VOLUME").exec_form or [""]
    if f"--owner={uid} --group={gid} --mode=0700 {volume}" not in runs or not volume:
        yield f"{volume} does not belong to user {said}"
    if words.index("VOLUME") < max(n for n, word in enumerate(words) if word == "RUN"):
        yield "what is done to a volume after VOLUME is lost"


def forms(it: Files) -> Iterator[str]:
    """Exec form throughout, so that signals arrive; no ADD, which fetches and unpacks."""
    known = {"ARG", "FROM", "ENV", "WORKDIR", "COPY", "RUN", "LABEL", "VOLUME", "EXPOSE", "USER"}
    known |= {"STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    for each in it.instructions:
        if each.word not in known:
            yield f"{each.word} is not used here"
        if each.word in ("ENTRYPOINT", "CMD", "HEALTHCHECK", "VOLUME") and not each.exec_form:
            yield f"{each.word} {each.rest} is not in exec form"
    if it.final.last("STOPSIGNAL").rest != "SIGTERM":
        yield "Pillarbox ends in order on SIGTERM"


def entry_point(it: Files) -> Iterator[str]:
    """The console script, found on the PATH, with verbs that exist."""
    entry, command = it.final.last("ENTRYPOINT").exec_form, it.final.last("CMD").exec_form
    health = it.final.last("HEALTHCHECK").exec_form
    if entry != [SCRIPT]:
        yield f"ENTRYPOINT is {entry}, not the console script {SCRIPT}"
    if command != ["serve"]:
        yield f"a container serves, and CMD is {command}"
    if health != [SCRIPT, "status"]:
        yield f"HEALTHCHECK is {health}"
    for verb in (*command[:1], *health[1:2]):
        if verb not in COMMANDS:
            yield f"there is no verb {verb}"
    made = re.findall(r"--python (\S+)/bin/python install", _all_runs(it))
    taken = [rest.split() for rest in it.final.all("COPY")]
    if len(set(made)) != 1 or taken != [[f"--from={it.stages[0].name}", made[0], made[0]]]:
        yield "an environment works only where it was made"
    elif not it.final.environment.get("PATH", "").startswith(f"{made[0]}/bin:"):
        yield f"{made[0]}/bin is not the first on the PATH"


def loaded(it: Files) -> Iterator[str]:
    """The build loads what a start loads."""
    named = re.findall(r'python -c "import ([^"]+)"', "\n".join(it.final.runs))
    modules = [name.strip() for line in named for name in line.split(",")]
    if not {"pillarbox.cli.serve", "pillarbox.wiring"} <= set(modules):
        yield "a start loads pillarbox.cli.serve and pillarbox.wiring"
    for name in modules:
        if importlib.util.find_spec(name) is None:
            yield f"there is no module {name}"


def labels(it: Files) -> Iterator[str]:
    """What they say is what pyproject.toml says."""
    found = dict(pair for rest in it.final.all("LABEL") for pair in _pairs(rest))
    project = PROJECT["project"]
    wanted = {
        "title": project["name"].capitalize(),
        "description": project["description"],
        "licenses": project["license"],
        "source": "${SOURCE}",
    }
    for name, value in wanted.items():
        said = found.get(f"org.opencontainers.image.{name}")
        if said != value:
            yield f"{name} is {said!r}, not {value!r}"
    if it.arguments.get("SOURCE") != "":
        yield "who publishes the image says where its source is"


def no_secrets(it: Files) -> Iterator[str]:
    """Neither in the image nor in the environment of a service; a file is named, not its content."""
    words = re.compile(r"(?i)passw|secret|token|credential|private|(?:^|_)key|database_url")
    said = dict.fromkeys(it.arguments, "")
    for stage in it.stages:
        said |= stage.environment
    for service in it.services.values():
        said |= service.get("environment") or {}
    for name, value in said.items():
        if words.search(name) and not (name.endswith("_FILE") and value.startswith(SECRETS)):
            yield f"{name} would be seen by everybody who can see the image or the container"


def ports(it: Files) -> Iterator[str]:
    """EXPOSE names the ports that the program opens unless told otherwise, and it may open them."""
    exposed = {int(port) for port in it.final.last("EXPOSE").rest.split()}
    opened = image_ports(it)
    if exposed != opened:
        yield f"EXPOSE has {sorted(exposed)}, the program opens {sorted(opened)}"
    if min(opened) < 1024:
        yield f"port {min(opened)} needs a privilege, which not every engine gives"


def image_ports(it: Files) -> set[int]:
    """What `serve` opens in the image's own environment."""
    told = {k: v for k, v in it.final.environment.items() if k.startswith("PILLARBOX_")}
    nowhere = Path("/nowhere")
    sources = read_sources({}, told, directory=nowhere, system_file=nowhere / "file")
    return opened_by(
        {entry.key: entry.value for entry in check(as_served(sources), all_rooms())[0]}
    )


def opened_by(values: Mapping[str, Any]) -> set[int]:
    lists = ("smtp.starttls_ports", "smtp.tls_ports", "smtp.bounce_ports", "smtp.local_ports")
    return {values["http.port"], *(port for key in lists for port in values[key])}


# --- rules of what the builder is given ------------------------------------------------------


def copied(it: Files) -> Iterator[str]:
    """Every file that is copied is ours, and reaches the builder."""
    ours = {str(path.relative_to(ROOT)) for path in own_files()}
    for source, _ in _copies(it):
        inside = {path for path in ours if path == source or path.startswith(f"{source}/")}
        if not inside:
            yield f"there is no {source}"
        for path in sorted(inside):
            if not it.is_sent(path):
                yield f".dockerignore keeps {path} out"


def build_inputs(it: Files) -> Iterator[str]:
    """hatchling finds all that pyproject.toml names, and both locks are there when they are read."""
    project, hatch = PROJECT["project"], PROJECT["tool"]["hatch"]
    wheel = {"pyproject.toml", project["readme"], *project["license-files"]}
    wheel |= {hatch["version"]["path"], *hatch["build"]["targets"]["wheel"]["packages"]}
    wanted = {
        "pip wheel": wheel,
        "-r requirements.lock": {"requirements.lock"},
        "awk": {"requirements-test.lock"},
    }
    for step, names in wanted.items():
        runs = [each.word == "RUN" and step in each.rest for each in it.instructions]
        there = [
            source for source, at in _copies(it) if at < (runs.index(True) if any(runs) else 0)
        ]
        for name in sorted(names):
            if not any(name == source or name.startswith(f"{source}/") for source in there):
                yield f"{name} is not copied before {step}"


def _copies(it: Files) -> list[tuple[str, int]]:
    """What is copied out of the repository, and at which instruction."""
    found = [
        (n, each.rest.split()) for n, each in enumerate(it.instructions) if each.word == "COPY"
    ]
    return [
        (source.removeprefix("./").rstrip("/"), n)
        for n, words in found
        if not any(word.startswith("--from=") for word in words)
        for source in words[:-1]
        if not source.startswith("--")
    ]


def kept_out(it: Files) -> Iterator[str]:
    """The builder never sees what is private, nor what changes without changing the image."""
    for path in PRIVATE:
        if it.is_sent(path):
            yield f"{path} is sent to the builder"
    for secret in (it.document.get("secrets") or {}).values():
        if it.is_sent(secret["file"].removeprefix("./")):
            yield f"{secret['file']} is sent to the builder"


# --- rules of compose.yaml -------------------------------------------------------------------


def hardening(it: Files) -> Iterator[str]:
    """No service can do more than it must, ours least of all."""
    for name, service in it.services.items():
        wanted: dict[str, Any] = {
            "read_only": "true",
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
        }
        if name in it.ours:
            wanted |= {"init": "true", "tmpfs": ["/tmp"]}
        elif not re.fullmatch(r"[1-9]\d*:[1-9]\d*", service.get("user", "")):
            yield f"{name} starts as root"
        for key, value in wanted.items():
            if service.get(key) != value:
                yield f"{name}: {key} is {service.get(key)}, not {value}"
        if "/tmp" not in service.get("tmpfs", []):
            yield f"{name} cannot write to /tmp"
        for key in ("privileged", "cap_add", "network_mode", "pid", "devices"):
            if key in service:
                yield f"{name} has {key}"


def images(it: Files) -> Iterator[str]:
    """One service builds the image that all of ours run, and no registry is asked for it."""
    for name, service in it.services.items():
        _, _, tag = service["image"].partition(":")
        if tag in ("", "latest"):
            yield f"{name}: {service['image']} may be anything"
    if len({service["image"] for service in it.ours.values()}) != 1:
        yield "ours run different images"
    builders = [name for name, service in it.services.items() if "build" in service]
    if len(builders) != 1 or it.services[builders[0]].get("profiles"):
        yield f"docker compose build is done by {builders}"
    for name, service in it.ours.items():
        if service.get("pull_policy") != "never":
            yield f"{name} would be looked for at a registry"


def published(it: Files) -> Iterator[str]:
    """Every port of every node, on loopback only, no two on the same."""
    seen: dict[str, str] = {}
    for name, service in it.services.items():
        inside = set()
        for line in service.get("ports", []):
            match = re.fullmatch(r"127\.0\.0\.1:(\d+):(\d+)", line)
            if match is None:
                yield f"{name}: {line} is not on loopback"
                continue
            inside.add(int(match[2]))
            if seen.setdefault(match[1], name) != name or not 1024 <= int(match[1]) < 32768:
                yield f"{name}: port {match[1]} is taken by {seen[match[1]]} or by the system"
        if inside != (image_ports(it) if name in it.ours else set()):
            yield f"{name} publishes {sorted(inside)}"


def grace(it: Files) -> Iterator[str]:
    """Clients have a time to finish, and deliveries after them; only then may it be killed."""
    for name, service in it.ours.items():
        match = re.fullmatch(r"(\d+)s", service.get("stop_grace_period", ""))
        if match is None or int(match[1]) <= 2 * life._DRAIN_SECONDS:
            yield f"{name} is killed before it has drained"


def one_node(it: Files) -> Iterator[str]:
    """What starts without a profile is one node that needs nothing but its volume."""
    alone = [name for name, service in it.services.items() if not service.get("profiles")]
    if alone != [SCRIPT]:
        yield f"docker compose up starts {alone}"
    for name in alone:
        for key in ("secrets", "depends_on"):
            if key in it.services[name]:
                yield f"{name} has {key}"


def cluster(it: Files) -> Iterator[str]:
    """The nodes differ in name, data and ports on the host, and in nothing else."""
    if len(it.nodes) < 2:
        yield "a cluster has two nodes"
    its_own = {"environment", "ports", "volumes", "depends_on"}
    first = next(iter(it.nodes.values()))
    names = [service["environment"].get("PILLARBOX_NODE") for service in it.nodes.values()]
    if names != list(it.nodes):
        yield f"the nodes {list(it.nodes)} call themselves {names}"
    for name, service in it.nodes.items():
        for key in sorted(first.keys() | service.keys()):
            if key not in its_own and service.get(key) != first.get(key):
                yield f"{name}: {key} differs"
        said = {**service["environment"], "PILLARBOX_NODE": ""}
        if said != {**first["environment"], "PILLARBOX_NODE": ""}:
            yield f"{name}: its environment differs"
        for needed in ("PILLARBOX_DATABASE_URL_FILE", "PILLARBOX_SECRET_KEY_FILE"):
            if needed not in said:
                yield f"{name} lacks {needed}"


def volumes(it: Files) -> Iterator[str]:
    """Each service keeps its data in a named volume that nobody else has."""
    places = {name: it.final.environment.get("PILLARBOX_DATA_DIR", "") for name in it.ours}
    places |= dict.fromkeys(it.databases, "/var/lib/postgresql/data")
    if it.final.last("VOLUME").exec_form != [it.final.environment.get("PILLARBOX_DATA_DIR")]:
        yield "the image's volume is not its data directory"
    used = []
    for name, service in it.services.items():
        mounts = [line.split(":") for line in service.get("volumes", [])]
        if [place for _, place in mounts] != [places.get(name)]:
            yield f"{name} has the volumes {mounts}"
        used += [volume for volume, _ in mounts]
    if sorted(used) != sorted(it.document["volumes"]):
        yield f"volumes are used as {sorted(used)}, and declared as {sorted(it.document['volumes'])}"


def secret_files(it: Files) -> Iterator[str]:
    """Each is a file in ./secrets, named where it is used, and given to the user who reads it."""
    declared = it.document["secrets"]
    owners = {
        name: uid
        for uid, names in re.findall(r"chown (\d+) ([a-z_ ]+)", it.compose)
        for name in names.split()
    }
    for name, secret in declared.items():
        if secret != {"file": f"./secrets/{name}"}:
            yield f"{name}: {secret} is not its file in ./secrets"
        if name not in owners:
            yield f"{name} is given to nobody"
    for service_name, service in it.services.items():
        said = (service.get("environment") or {}).items()
        named = {value.removeprefix(SECRETS) for key, value in said if key.endswith("_FILE")}
        granted = set(service.get("secrets", []))
        if named != granted or not granted <= set(declared):
            yield f"{service_name} reads {sorted(named)}, and is given {sorted(granted)}"
        reader = service.get("user", it.final.last("USER").rest).partition(":")[0]
        for secret in sorted(granted):
            if owners.get(secret) != reader:
                yield f"{secret} belongs to {owners.get(secret)}, and is read by {reader}"


def database(it: Files) -> Iterator[str]:
    """PostgreSQL of a fixed major, waited for by all nodes, asked for in the way nodes ask."""
    if len(it.databases) != 1:
        yield "a cluster has one database"
        return
    ((name, service),) = it.databases.items()
    match = re.fullmatch(rf"postgres:(\d+)-[a-z]+{DIGEST}", service["image"])
    if match is None or int(match[1]) < OLDEST_POSTGRES:
        yield f"{service['image']} is too old, or no fixed major and release"
    said, test = service["environment"], service.get("healthcheck", {}).get("test", [])
    wanted = {f"--username={said['POSTGRES_USER']}", f"--dbname={said['POSTGRES_DB']}"}
    if test[:2] != ["CMD", "pg_isready"] or set(test[2:]) != {*wanted, "--host=127.0.0.1"}:
        yield f"{name} is asked with {test}"
    for node, other in it.nodes.items():
        if other.get("depends_on", {}).get(name) != {"condition": "service_healthy"}:
            yield f"{node} does not wait for {name}"
        if other["profiles"] != service.get("profiles"):
            yield f"{node} can be started without {name}"
    url = f'"postgresql://{said["POSTGRES_USER"]}:$(cat database_password)@{name}/{said["POSTGRES_DB"]}"'
    if url not in it.compose:
        yield f"the URL in the comment is not {url}"


def dependencies(it: Files) -> Iterator[str]:
    """Whoever is waited for is there, says when it is well, and is in the same profile."""
    for name, service in it.services.items():
        for other, how in service.get("depends_on", {}).items():
            waited_for = it.services.get(other, {})
            if how != {"condition": "service_healthy"}:
                yield f"{name} does not wait until {other} is well"
            if other in it.databases and "healthcheck" not in waited_for:
                yield f"{other} never says that it is well"
            if not waited_for or waited_for.get("profiles") != service.get("profiles"):
                yield f"{name} may be started without {other}"


def commands_shown(it: Files) -> Iterator[str]:
    """Verbs and services in the comments exist."""
    comments = "\n".join(re.findall(r"^# ?(.*)", it.compose + it.dockerfile, re.MULTILINE))
    typed = set(re.findall(r"docker compose (?:--\S+ \w+ )?(\w+)", comments))
    if not {"up", "exec", "build"} <= typed:
        yield "the comments do not say how to start"
    for service, program in re.findall(r"exec ([a-z0-9-]+) (\S+ \S+)", comments):
        if service not in it.services:
            yield f"there is no service {service}"
        if program.startswith(f"{SCRIPT} ") and program.split()[1] not in COMMANDS:
            yield f"there is no {program}"
    for verb in re.findall(r"pillarbox:local (\w+)", comments):
        if verb not in COMMANDS:
            yield f"there is no verb {verb}"
    for started in re.findall(r"--wait ((?:[a-z]+-\d ?)+)", comments):
        if set(started.split()) != set(it.nodes):
            yield f"the comments start {started} as the cluster"


# --- settings, as the program reads them -----------------------------------------------------


def one_node_settings(it: Files) -> Iterator[str]:
    """Every variable of the image and of the single node is a setting, and ports can be reached."""
    yield from _settings(it, it.services[SCRIPT])


def cluster_settings(it: Files) -> Iterator[str]:
    """Every variable of the nodes is a setting."""
    for service in it.nodes.values():
        yield from _settings(it, service)


def _settings(it: Files, service: Mapping[str, Any]) -> Iterator[str]:
    told = it.final.environment | (service.get("environment") or {})
    with tempfile.TemporaryDirectory() as scratch:
        given = {
            name: _as_in_container(value, Path(scratch))
            for name, value in told.items()
            if name.startswith("PILLARBOX_")
        }
        nowhere = Path(scratch) / "nowhere"
        sources = read_sources({}, given, directory=Path(scratch), system_file=nowhere)
        entries, _, mistakes = check(as_served(sources), all_rooms())
    yield from map(str, mistakes)
    origins = {entry.origin for entry in entries}
    yield from (f"{name} is no setting" for name in given if name not in origins)
    values = {entry.key: entry.value for entry in entries}
    for key, everywhere in (("smtp.listen", ("*",)), ("http.listen", "0.0.0.0")):
        if values[key] != everywhere:
            yield f"{key} is {values[key]}, which no published port reaches"
    if opened_by(values) != image_ports(it):
        yield f"it opens {sorted(opened_by(values))}, and others are published"


def _as_in_container(value: str, scratch: Path) -> str:
    """A secret's file with something in it; a variable's default, as where nobody set it."""
    if not value.startswith(SECRETS):
        return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
    file = scratch / value.removeprefix(SECRETS)
    file.touch(0o600)
    file.write_text(SAMPLES[file.name])
    return str(file)


# --- what holds, and what would be noticed ---------------------------------------------------

RULES: dict[str, Callable[[Files], Iterator[str]]] = {
    rule.__name__: rule
    for rule in (
        base_image, final_stage, system_packages, python_packages, build_backend, user, forms,
        entry_point, loaded, labels, no_secrets, ports, copied, build_inputs, kept_out, hardening,
        images, published, grace, one_node, cluster, volumes, secret_files, database,
        dependencies, commands_shown, one_node_settings, cluster_settings,
    )
}  # fmt: skip

# A rule, and a change to one of the files that it must not let pass.
BREACHES = [
    ("base_image", "dockerfile", "python:3.13-slim-trixie\n\n# ---", "python:latest\n\n# ---"),
    ("base_image", "dockerfile", "PYTHON_IMAGE=python:3.13-slim-trixie\n\n", "PYTHON_IMAGE=python\n\n"),
    ("base_image", "dockerfile", "=python:3.13-slim-trixie\n\n", "=python:3.99-slim-trixie\n\n"),
    ("base_image", "dockerfile", "FROM ${PYTHON_IMAGE}\n", "FROM python:3.12-slim-trixie\n"),
    ("final_stage", "dockerfile", "ca-certificates \\", "ca-certificates gcc \\"),
    ("final_stage", "dockerfile", 'RUN python -c "', 'RUN pip install x && python -c "'),
    ("final_stage", "dockerfile", "FROM ${PYTHON_IMAGE}\n", "FROM ${PYTHON_IMAGE} AS run\n"),
    ("system_packages", "dockerfile", " --no-install-recommends", ""),
    ("system_packages", "dockerfile", "    && rm -rf /var/lib/apt/lists/* \\\n", ""),
    ("system_packages", "dockerfile", "rm -rf /var/lib/apt/lists/* \\\n    && ", "true \\\n    && "),
    ("system_packages", "dockerfile", "apt-get update", "apt-get upgrade"),
    ("system_packages", "dockerfile", "recommends ca-certificates", "recommends tzdata"),
    ("python_packages", "dockerfile", "--require-hashes --only-binary :all: \\", "\\"),
    ("python_packages", "dockerfile", "--only-binary :all: -r build.lock", "-r build.lock"),
    ("python_packages", "dockerfile", "-r requirements.lock\n", "-r requirements-test.lock\n"),
    ("python_packages", "dockerfile", " --no-build-isolation", ""),
    ("python_packages", "dockerfile", "install --no-index --no-deps", "install --no-index"),
    ("python_packages", "dockerfile", "PIP_NO_CACHE_DIR=1", "PIP_NO_CACHE_DIR=0"),
    ("build_backend", "dockerfile", "|tomlkit", ""),
    ("build_backend", "dockerfile", "pluggy", "pluggy|mypy"),
    ("build_backend", "dockerfile", "        requirements-test.lock", "        some.lock"),
    ("user", "dockerfile", "USER 10001:10001\n", ""),
    ("user", "dockerfile", "USER 10001:10001", "USER root"),
    ("user", "dockerfile", "USER 10001:10001", "USER pillarbox"),
    ("user", "dockerfile", "USER 10001:10001", "USER 10002:10002"),
    ("user", "dockerfile", "STOPSIGNAL SIGTERM", "RUN true"),
    ("user", "dockerfile", "--owner=10001 ", "--owner=root "),
    ("user", "dockerfile", "STOPSIGNAL SIGTERM", "USER root"),
    ("forms", "dockerfile", "COPY src ./src", "ADD src ./src"),
    ("forms", "dockerfile", 'ENTRYPOINT ["pillarbox"]', "ENTRYPOINT pillarbox"),
    ("forms", "dockerfile", 'CMD ["pillarbox", "status"]', "CMD pillarbox status"),
    ("forms", "dockerfile", "STOPSIGNAL SIGTERM", "STOPSIGNAL SIGKILL"),
    ("entry_point", "dockerfile", '["pillarbox"]', '["python", "-m", "pillarbox"]'),
    ("entry_point", "dockerfile", '["serve"]', '["start"]'),
    ("entry_point", "dockerfile", '"status"', '"ping"'),
    ("entry_point", "dockerfile", "/opt/pillarbox /opt/pillarbox", "/opt/pillarbox /opt/box"),
    ("entry_point", "dockerfile", "PATH=/opt/pillarbox/bin:$PATH", "PATH=$PATH"),
    ("loaded", "dockerfile", "pillarbox.cli.main", "pillarbox.cli.mane"),
    ("loaded", "dockerfile", ", pillarbox.wiring", ""),
    ("labels", "dockerfile", "Apache-2.0", "MIT"),
    ("labels", "dockerfile", "accepts mail, ", ""),
    ("labels", "dockerfile", 'SOURCE=""', 'SOURCE="https://example.com"'),
    ("no_secrets", "dockerfile", 'ARG SOURCE=""', 'ARG SOURCE=""\nARG API_TOKEN'),
    ("no_secrets", "dockerfile", "PIP_NO_INPUT=1", "PIP_NO_INPUT=1 DB_PASSWORD=x"),
    ("no_secrets", "compose", "KEY_FILE: /run/secrets/secret_key", "KEY: 5a5a5a"),
    ("no_secrets", "compose", "URL_FILE: /run/secrets/database_url", "URL: postgresql://a@b/c"),
    ("ports", "dockerfile", "EXPOSE 2525 2465 2025 8480", "EXPOSE 2525 8480"),
    ("ports", "dockerfile", "EXPOSE 2525 2465 2025 8480", "EXPOSE 25 465 80"),
    ("ports", "dockerfile", "    PILLARBOX_SMTP__BOUNCE_PORTS=2025 \\\n", ""),
    ("copied", "dockerfile", "README.md LICENSE", "README.md LICENCE"),
    ("copied", "ignore", "!README.md\n", ""),
    ("copied", "ignore", "**/__pycache__", "**/*.sql"),
    ("build_inputs", "dockerfile", " LICENSE ./", " ./"),
    ("build_inputs", "dockerfile", "COPY src ./src\n", ""),
    ("build_inputs", "dockerfile", "COPY requirements-test.lock ./\n", ""),
    ("kept_out", "ignore", "*\n!LICENSE", "!LICENSE"),
    ("kept_out", "ignore", "**/__pycache__\n", ""),
    ("kept_out", "ignore", "secrets\n", "!secrets\n"),
    ("hardening", "compose", "  init: true\n", ""),
    ("hardening", "compose", "  read_only: true\n  tmpfs:\n    - /tmp\n  cap", "  cap"),
    ("hardening", "compose", "  cap_drop:\n    - ALL\n", ""),
    ("hardening", "compose", "      - no-new-privileges:true", "      - seccomp:unconfined"),
    ("hardening", "compose", '    user: "999:999"\n', ""),
    ("hardening", "compose", "    build: .", "    build: .\n    privileged: true"),
    ("images", "compose", "pillarbox:local\n", "pillarbox:latest\n"),
    ("images", "compose", "postgres:17-trixie", "postgres"),
    ("images", "compose", "      PILLARBOX_NODE: node-2", "      X: y\n    build: ."),
    ("images", "compose", "    build: .\n", ""),
    ("images", "compose", "pull_policy: never", "pull_policy: always"),
    ("images", "compose", "    ports:\n      - \"127.0.0.1:2", "    image: pillarbox:mine\n    ports:\n      - \"127.0.0.1:2"),
    ("published", "compose", "127.0.0.1:8480:8480", "8480:8480"),
    ("published", "compose", "127.0.0.1:22525", "127.0.0.1:12525"),
    ("published", "compose", '      - "127.0.0.1:18480:8480"\n', ""),
    ("published", "compose", "12465:2465", "12465:465"),
    ("grace", "compose", "stop_grace_period: 90s", "stop_grace_period: 20s"),
    ("grace", "compose", "  stop_grace_period: 90s\n", ""),
    ("one_node", "compose", "    image: postgres:17-trixie\n    profiles:\n      - cluster\n", "    image: postgres:17-trixie\n"),
    ("one_node", "compose", "    build: .\n", "    build: .\n    secrets:\n      - secret_key\n"),
    ("cluster", "compose", "PILLARBOX_NODE: node-2", "PILLARBOX_NODE: node-1"),
    ("cluster", "compose", "PILLARBOX_NODE: node-2", "PILLARBOX_NODE: node-2\n      A: b"),
    ("cluster", "compose", "PILLARBOX_NODE: node-2", "PILLARBOX_NODE: node-2\n    user: \"1:1\""),
    ("cluster", "compose", "  PILLARBOX_SECRET_KEY_FILE: /run/secrets/secret_key\n", ""),
    ("volumes", "compose", "- node-2-data:/data", "- node-1-data:/data"),
    ("volumes", "compose", "- node-2-data:/data", "- node-2-data:/mail"),
    ("volumes", "compose", "  data:\n  node", "  node"),
    ("volumes", "dockerfile", "PILLARBOX_DATA_DIR=/data", "PILLARBOX_DATA_DIR=/mail"),
    ("secret_files", "compose", "file: ./secrets/secret_key", "file: ./secret_key"),
    ("secret_files", "compose", "    - secret_key\n\n", "\n"),
    ("secret_files", "compose", "chown 10001 secret_key ", "chown 10001 "),
    ("secret_files", "compose", "chown 999 ", "chown 10001 "),
    ("secret_files", "dockerfile", "USER 10001:10001", "USER 10002:10002"),
    ("database", "compose", "postgres:17-trixie", "postgres:14-trixie"),
    ("database", "compose", "postgres:17-trixie", "postgres:17"),
    ("database", "compose", "--host=127.0.0.1, ", ""),
    ("database", "compose", "POSTGRES_DB: pillarbox", "POSTGRES_DB: mail"),
    ("database", "compose", "      postgres:\n        condition: service_healthy\n      #", "      #"),
    ("database", "compose", "condition: service_healthy", "condition: service_started"),
    ("dependencies", "compose", "      node-1:\n", "      node-3:\n"),
    ("dependencies", "compose", "    healthcheck:\n", "    health:\n"),
    ("dependencies", "compose", "        condition: service_healthy\n\n  pos", "        condition: service_started\n\n  pos"),
    ("dependencies", "compose", "    build: .\n", "    build: .\n    depends_on:\n      postgres:\n        condition: x\n"),
    ("commands_shown", "compose", "exec pillarbox pillarbox send", "exec pillarbox pillarbox post"),
    ("commands_shown", "compose", "exec node-1 cat", "exec node-7 cat"),
    ("commands_shown", "compose", "--wait node-1 node-2", "--wait node-1"),
    ("commands_shown", "dockerfile", "pillarbox:local version", "pillarbox:local about"),
    ("one_node_settings", "dockerfile", "PILLARBOX_SMTP__LISTEN=", "PILLARBOX_SMTP__LISTENS="),
    ("one_node_settings", "dockerfile", "HTTP__LISTEN=0.0.0.0", "HTTP__LISTEN=127.0.0.1"),
    ("one_node_settings", "dockerfile", "PILLARBOX_DATA_DIR=", "PILLARBOX_STORE="),
    ("one_node_settings", "compose", "    environment:\n      PILL", "    environment:\n      PILLARBOX_HTTP__PORT: x\n      PILL"),
    ("cluster_settings", "compose", "PILLARBOX_NODE: node-2", "PILLARBOX_NODULE: node-2"),
    ("cluster_settings", "compose", "  PILLARBOX_DATABASE_URL_FILE:", "  PILLARBOX_DATABASE_FILE:"),
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_the_container_files_keep_the_rule(rule: str) -> None:
    complaints = list(RULES[rule](files()))
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize(
    ("rule", "file", "old", "new"), BREACHES, ids=[f"{r}-{n}" for n, (r, *_) in enumerate(BREACHES)]
)
def test_a_breach_of_the_rule_is_noticed(rule: str, file: str, old: str, new: str) -> None:
    before = files()
    changed: Files = replace(before, **{file: getattr(before, file).replace(old, new, 1)})
    assert changed != before, f"{old!r} is no longer in the {file}: breach it in another way"
    fresh = set(RULES[rule](changed)) - set(RULES[rule](before))
    assert fresh, "the rule said nothing new"


def test_every_rule_of_the_container_has_a_breach() -> None:
    assert {rule for rule, *_ in BREACHES} == set(RULES)


@pytest.mark.parametrize(
    "text",
    ["a: b: c", "a: 1 # why", "a: 1\na: 2", "a:\n  - b: c", "a: {b: c}", "a: |\n  b", "\ta: b",
     "a: *b", "<<: *b", "a: 1\n   b: 2", "a: !tag b", "a: 'b'", "- a"],
)  # fmt: skip
def test_more_yaml_than_is_understood_is_refused(text: str) -> None:
    with pytest.raises(NotRead):
        read_yaml(text)


def test_anchors_and_merges_are_read_as_compose_reads_them() -> None:
    text = 'x: &x\n  a: 1\n  b:\n    - "2:3"\n    - c\n\ny:\n  <<: *x\n  # why\n  a: [d, e]\n  f:\n'
    x = {"a": "1", "b": ["2:3", "c"]}
    assert read_yaml(text) == {"x": x, "y": {**x, "a": ["d", "e"], "f": None}}


@pytest.mark.needs("openssl")
def test_the_command_in_compose_makes_the_secrets_once(tmp_path: Path) -> None:
    it = files()
    shown = re.search(r"^#     (\(set -C;.*?\)\n)", it.compose, re.MULTILINE | re.DOTALL)
    assert shown is not None
    command = ["sh", "-c", shown[1].replace("\n#", "\n")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = {path.name: path.read_text().strip() for path in (tmp_path / "secrets").iterdir()}
    assert set(made) == set(it.document["secrets"])
    key, password = made["secret_key"], made["database_password"]
    assert re.fullmatch("[0-9a-f]{64}", key) and re.fullmatch("[0-9a-f]{64}", password)
    assert key != password and f":{password}@" in made["database_url"]
    assert {path.stat().st_mode & 0o077 for path in tmp_path.rglob("*")} == {0}
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert again.returncode != 0, "a key that is in use must not be replaced"
    assert made == {
        path.name: path.read_text().strip() for path in (tmp_path / "secrets").iterdir()
    }
