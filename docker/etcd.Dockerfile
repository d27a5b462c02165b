# etcd from Debian: stores cluster membership and claims.
ARG DEBIAN_VERSION=12.12
FROM debian:${DEBIAN_VERSION}-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends "etcd-server=3.4.23*" "etcd-client=3.4.23*" \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin etcd-data \
    && install -d -o etcd-data -g etcd-data -m 700 /data
USER etcd-data
ENV ETCDCTL_API=3
ENTRYPOINT ["etcd"]
