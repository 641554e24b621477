# z1 in a container: the programs of scripts/dist for any processor, no GPU.
#
#   docker build -t z1 .
#   docker run --rm -it --network none -v "$PWD:/work" -v z1-home:/home/z1 z1
#
# `--network none` costs nothing once a model is there (`docker run … z1 models pull NAME` needs the network). Docker's own
# rules forbid user namespaces, so programs run behind Landlock (tier L; `z1 doctor` says it).

FROM rust:1.95-trixie AS build
ARG Z1_COMMIT=unknown
ENV Z1_COMMIT=$Z1_COMMIT
COPY . /src
WORKDIR /src
RUN scripts/dist && mkdir /z1 && cp -a target/dist/z1-*-linux/. /z1/

FROM debian:trixie-slim
# What z1's tasks are tried with: Python and git; the OpenMP runtime is llama.cpp's.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates git libgomp1 libstdc++6 python3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /z1 /opt/z1
RUN ln -s /opt/z1/bin/z1 /opt/z1/bin/z1-sft /usr/local/bin/ && useradd --create-home z1 && mkdir /work && chown z1 /work
USER z1
VOLUME /home/z1
WORKDIR /work
ENTRYPOINT ["z1"]
