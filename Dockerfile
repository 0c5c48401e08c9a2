# One image for every part; docker-compose.yml says which part a container is.
FROM python:3.11-slim

# libgl1 and libglib2.0-0: what OpenCV, the detector's image library, loads
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 nightshift \
    && install --directory --owner=nightshift /data

WORKDIR /app
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY service service
COPY models models
COPY workers workers
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

USER nightshift
ENV NIGHTSHIFT_DATA_DIR=/data OMP_WAIT_POLICY=passive PYTHONUNBUFFERED=1 MPLCONFIGDIR=/tmp/matplotlib
VOLUME /data
CMD ["uvicorn", "--factory", "service.app:create_app", "--host", "127.0.0.1", "--port", "8000"]
