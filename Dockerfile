# Two images of the same code. `docker build --target api .` has no torch: the API, the reconciler and the command
# line. `docker build --target worker .` has the networks and CUDA's libraries; the driver comes from the host.
# What a container does is its command; docker-compose.yml and deploy/kubernetes/ say which.

FROM python:3.11.14-slim-bookworm AS base
ENV PATH=/app/bin:/opt/packages/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    NIGHTSHIFT_DATA_DIR=/data \
    NIGHTSHIFT_METRICS_PORT=9100
# /data is for the embedded default alone; on a cluster nothing is kept in a container.
RUN useradd --no-create-home --uid 10001 nightshift \
    && install --directory --owner=nightshift /data
WORKDIR /app

FROM base AS api-packages
COPY requirements-api.lock /tmp/
RUN python -m venv /opt/packages \
    && /opt/packages/bin/pip install --no-cache-dir --require-hashes --requirement /tmp/requirements-api.lock

FROM base AS worker-packages
COPY requirements-worker.lock /tmp/
RUN python -m venv /opt/packages \
    && /opt/packages/bin/pip install --no-cache-dir --require-hashes --requirement /tmp/requirements-worker.lock

# A layer of its own, of some 30 MB: what changes with each version.
FROM api-packages AS code
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY service service
COPY models models
COPY workers workers
RUN pip install --no-cache-dir --no-deps --no-build-isolation --target /app .

FROM base AS api
COPY --from=api-packages /opt/packages /opt/packages
COPY --from=code /app /app
USER 10001:10001
EXPOSE 8000 9100
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-m", "service.probe", "http://127.0.0.1:8000/healthz"]
# This container alone: an address that others reach needs TLS or a proxy before it.
CMD ["nightshift", "serve", "--host", "127.0.0.1"]

FROM base AS worker
# What OpenCV, the detector's image library, loads.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1=1.6.* libglib2.0-0=2.74.* \
    && rm -rf /var/lib/apt/lists/*
COPY --from=worker-packages /opt/packages /opt/packages
COPY --from=code /app /app
# Of the driver, what computing needs; which GPU is the container's own, its runtime or `nightshift worker` says.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    OMP_WAIT_POLICY=passive \
    MPLCONFIGDIR=/tmp/matplotlib
USER 10001:10001
EXPOSE 9100
HEALTHCHECK --interval=10s --timeout=10s --start-period=120s \
    CMD ["python", "-m", "service.probe", "http://127.0.0.1:9100/metrics"]
CMD ["nightshift", "worker"]
