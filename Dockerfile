# syntax=docker/dockerfile:1
#
# A server in a container, for amd64 and arm64:
#
#   docker build -t fluxiondb --build-arg COMMIT=$(git rev-parse --short HEAD) .
#   docker buildx build --platform linux/amd64,linux/arm64 -t fluxiondb .
#   docker run -d --name db -p 127.0.0.1:8080:8080 -v fluxiondb:/data --stop-timeout 120 fluxiondb
#
# What was tried of it, and what was not, is in the README (Operating it, Containers).

# Built on the machine that builds, whatever it is built for: Bun takes the other one's runtime from the npm registry.
FROM --platform=$BUILDPLATFORM node:22-slim AS build
WORKDIR /source
# What is installed changes more rarely than the source.
COPY package.json package-lock.json ./
COPY scripts/run.mjs scripts/
RUN node scripts/run.mjs --version
COPY . .
ARG TARGETARCH
ARG COMMIT=unknown
RUN case "${TARGETARCH:-$(dpkg --print-architecture)}" in \
      amd64) target=linux-x64 ;; \
      arm64) target=linux-arm64 ;; \
      *) echo "FluxionDB is built for amd64 and arm64" >&2; exit 1 ;; \
    esac \
    && FLUXIONDB_COMMIT="$COMMIT" npm run build -- --target "bun-$target" \
    && install -D "dist/fluxiondb-$target" /image/fluxiondb \
    && install -d -m 0700 /volume/data

FROM debian:stable-slim
COPY --from=build /image/fluxiondb /usr/local/bin/fluxiondb
# Somebody who is nobody else, by number, so that Kubernetes can see that it is not root.
COPY --from=build --chown=10001:10001 /volume/ /
USER 10001:10001
ENV FLUXIONDB_DATA=/data \
    FLUXIONDB_HOST=0.0.0.0
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
# After a crash the journal is read first, which may take minutes; the container counts as starting meanwhile.
HEALTHCHECK --interval=30s --timeout=10s --start-period=10m --start-interval=2s CMD ["fluxiondb", "health"]
ENTRYPOINT ["fluxiondb"]
CMD ["serve"]
