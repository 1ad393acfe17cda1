# One image for all roles: the program is one file, the role is its first argument.
# Nothing here needs BuildKit, so that any Docker engine builds it.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p catena-cli --bin catena

# The same Debian as above: the program links to its C library.
FROM debian:bookworm-slim
# For a NATS server that is reached over TLS; the slim image has no root certificates of its own.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# A volume that is mounted on /data the first time takes over this owner.
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin catena \
 && install -d -o catena -g catena /data
COPY --from=build /src/target/release/catena /usr/local/bin/
USER catena
ENTRYPOINT ["catena"]
CMD ["--help"]
