# lockjam and a redis-server, so that nothing else is needed, no Docker socket either:
#
#   docker build -t lockjam .
#   docker run --rm lockjam run
#   docker run --rm -v "$PWD/results:/results" --user "$(id -u):$(id -g)" lockjam run healthy
#
# BUILD and BASE can be any images that have Go, and redis-server or valkey-server.
ARG BUILD=golang:1.26-alpine
ARG BASE=redis:7.4-alpine

FROM ${BUILD} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w ${VERSION:+-X github.com/lockjam/lockjam/harness/result.Version=$VERSION}" -o /out/usr/local/bin/lockjam ./cmd/lockjam \
    && mkdir -m 1777 /out/results

FROM ${BASE}
# With /results, where whoever runs it may write.
COPY --from=build /out/ /
ENV LOCKJAM_OUT=/results
WORKDIR /
USER 10001:10001
ENTRYPOINT ["/usr/local/bin/lockjam"]
CMD ["--help"]
