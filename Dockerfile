# Pillarbox as an image: one process, no root, and nothing written outside /data.
#
#     docker build --tag pillarbox:local .
#     docker run --init --read-only --tmpfs /tmp --volume pillarbox-data:/data \
#         --publish 127.0.0.1:2525:2525 --publish 127.0.0.1:2465:2465 \
#         --publish 127.0.0.1:2025:2025 --publish 127.0.0.1:8480:8480 \
#         --stop-timeout 90 pillarbox:local
#
# compose.yaml says the same, and starts a cluster. What is typed behind the image's name goes to
# the program: docker run pillarbox:local version.
#
# Settings: the environment (PILLARBOX_SMTP__MAX_MESSAGE_MB=50), or a file mounted as
# /etc/pillarbox/pillarbox.toml. A folder of the host mounted as /data must belong to user 10001.

# The tag moves on when Python or Debian is repaired, and that is wanted here. Who must run exactly
# what was tried asks for its digest, and builds with it:
#
#     docker buildx imagetools inspect python:3.13-slim-trixie
#     docker build --build-arg PYTHON_IMAGE=python:3.13-slim-trixie@sha256:DIGEST .
ARG PYTHON_IMAGE=python:3.13-slim-trixie

# --- what is installed, made where nobody runs it --------------------------------------------

FROM ${PYTHON_IMAGE} AS build

ENV PIP_NO_CACHE_DIR=1 \
    PIP_NO_INPUT=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /build

# First what changes seldom: an edit of the sources installs no dependency again.
COPY requirements.lock ./
RUN python -m venv --without-pip /opt/pillarbox \
    && pip --python /opt/pillarbox/bin/python install --require-hashes --only-binary :all: \
        -r requirements.lock

# The build backend with what it needs, as pinned for the tests. It stays in this stage.
COPY requirements-test.lock ./
RUN awk '/^[a-z]/ { kept = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/ } kept' \
        requirements-test.lock >build.lock \
    && pip install --require-hashes --only-binary :all: -r build.lock

# The same wheel that is published, so the same command: its entry point is in pyproject.toml.
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip wheel --no-index --no-deps --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/pillarbox/bin/python install --no-index --no-deps dist/*.whl \
    && pip --python /opt/pillarbox/bin/python check

# --- what runs -------------------------------------------------------------------------------

FROM ${PYTHON_IMAGE}

# Where the sources of this image are found; whoever publishes it knows.
ARG SOURCE=""
LABEL org.opencontainers.image.title="Pillarbox" \
      org.opencontainers.image.description="A mail relay that takes responsibility: accepts mail, delivers it through the servers you choose, and knows what became of every recipient" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}"

# Without the authorities no server's certificate could be checked, so they are asked for by name,
# and unpinned: the newest list is the right one. A named volume takes over owner and mode of /data.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 pillarbox \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home \
        --shell /usr/sbin/nologin pillarbox \
    && install --directory --owner=10001 --group=10001 --mode=0700 /data

# The files belong to root: what runs cannot change its own program.
COPY --from=build /opt/pillarbox /opt/pillarbox
ENV PATH=/opt/pillarbox/bin:$PATH

# Loads all that a start loads. What cannot be loaded fails here and not on the first start; and the
# bytecode of the standard library, which the base image leaves out, is made once instead of on
# every health check.
RUN python -c "import pillarbox.cli.main, pillarbox.cli.serve, pillarbox.cli.status, pillarbox.wiring"

# A container has a loopback of its own, which no published port reaches: listen on all addresses,
# and let whoever publishes the ports choose for whom. Inside, the ports are such as need no
# privilege; outside they may be 587 and 2525, 465, and 25 for mail that comes back.
ENV PILLARBOX_DATA_DIR=/data \
    PILLARBOX_SMTP__LISTEN=* \
    PILLARBOX_SMTP__STARTTLS_PORTS=2525 \
    PILLARBOX_SMTP__TLS_PORTS=2465 \
    PILLARBOX_SMTP__BOUNCE_PORTS=2025 \
    PILLARBOX_HTTP__LISTEN=0.0.0.0

VOLUME ["/data"]
EXPOSE 2525 2465 2025 8480

# A number, because an orchestrator that refuses root cannot look up a name.
USER 10001:10001
WORKDIR /opt/pillarbox

STOPSIGNAL SIGTERM

# Asks over the socket in the data directory: healthy where it runs and takes mail.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["pillarbox", "status"]

ENTRYPOINT ["pillarbox"]
CMD ["serve"]
