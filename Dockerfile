# Built from the same package list (scripts/packages.txt) and with the same command (make build) as on a plain machine;
# tests/packaging.rs holds that, the Rust version and the ports.
#
#   docker build -t onair .
#   docker run -p 8080:8080 -p 8443:8443 -p 1935:1935 -p 8189:8189/udp -p 8189:8189/tcp -v onair:/data onair

FROM rust:1.95-bookworm AS build
WORKDIR /src
# The packages first: this layer stays when only sources change.
COPY scripts scripts
RUN scripts/install-packages build && scripts/install-tools node
COPY . .
RUN make build

FROM debian:bookworm-slim
COPY scripts/packages.txt scripts/install-packages /tmp/scripts/
RUN /tmp/scripts/install-packages run \
    && rm -rf /tmp/scripts /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /data --shell /usr/sbin/nologin onair
COPY --from=build /src/target/release/onair /src/target/release/onair-worker /usr/local/bin/
COPY config.toml /etc/onair/config.toml

USER onair
# data.dir is `data` in the working directory: /data/data, on the volume.
WORKDIR /data
VOLUME /data
# HTTP; HTTPS; RTMP; WebRTC media over UDP and TCP.
EXPOSE 8080/tcp 8443/tcp 1935/tcp 8189/udp 8189/tcp
# SIGTERM drains: publishers are told, viewers let go, exit 0.
STOPSIGNAL SIGTERM
ENTRYPOINT ["onair"]
CMD ["serve", "--config", "/etc/onair/config.toml"]
