# One image for web, worker and beat; docker-compose.yml gives each its command.
FROM python:3.13-slim-trixie AS packages
COPY requirements/server.txt /requirements.txt
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: -r /requirements.txt \
    && /venv/bin/pip uninstall --yes pip

FROM python:3.13-slim-trixie
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TRACKER_NO_BOOTSTRAP=1 \
    TRACKER_ENV=production \
    TRACKER_STATE=/data \
    STATIC_ROOT=/app/static
RUN useradd --system --uid 10001 --no-create-home tracker && mkdir -p /data/media && chown -R tracker /data
COPY --from=packages /venv /venv
WORKDIR /app
COPY manage.py ./
COPY config config
COPY tracker tracker
COPY api api
COPY seeds seeds
# Production settings refuse to start without these four; collecting files connects to nothing and keeps none of them.
RUN SECRET_KEY=only-while-the-image-is-built-and-in-no-layer-of-it-00000 ALLOWED_HOSTS=localhost \
    DATABASE_URL=postgresql://unused/unused REDIS_URL=redis://unused \
    python manage.py collectstatic --noinput
USER tracker
EXPOSE 8000
CMD ["gunicorn", "config.wsgi", "--bind", "0.0.0.0:8000"]
