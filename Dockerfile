# Every image of docker-compose.yml, one target each, from one base.
#
#   docker build --target rhumb -t rhumb .                               # what one runs in production
#   docker build --target rhumb --build-arg BASE=my-debian -t rhumb .    # where no image registry can be reached
#
# BASE is any Debian 12; docs/compose.md shows how to make one with debootstrap. It builds with BuildKit and without. All
# programs run as one unprivileged user (pipes of mode 600 join rhumb to ExaBGP). Two images begin as root, to set addresses
# in their container's network, and become that user before they start anything.
ARG BASE=debian:bookworm-slim

# Debian's npm is too old for our lock file: it fetches the one that is not, with the Node that rhumb runs on.
FROM ${BASE} AS dependencies
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ca-certificates npm libatomic1 >/dev/null \
 && rm -rf /var/lib/apt/lists/* \
 && npm install --prefix /opt/tools --no-audit --no-fund --loglevel=error node@26 npm@11
WORKDIR /opt/rhumb
# The package of Node holds the program twice, and its manual.
COPY package.json package-lock.json ./
RUN PATH=/opt/tools/node_modules/.bin:$PATH npm ci --omit=dev --no-audit --no-fund --loglevel=error \
 && rm -rf node_modules/node/node_modules

FROM ${BASE} AS base
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends ca-certificates iproute2 >/dev/null \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin rhumb

# The program, and nothing else.
FROM base AS rhumb
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends libatomic1 >/dev/null \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o rhumb -g rhumb -m 750 /stage /var/lib/rhumb /run/exabgp /var/cache/rhumb
WORKDIR /opt/rhumb
COPY --from=dependencies /opt/rhumb/node_modules ./node_modules
COPY package.json ./
COPY bin ./bin
COPY geo-data/demo.mmdb ./geo-data/
COPY src ./src
RUN ln -s /opt/rhumb/bin/rhumb /usr/local/bin/rhumb
ENV PATH=/opt/rhumb/node_modules/.bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin \
    NODE_COMPILE_CACHE=/var/cache/rhumb
USER rhumb
# Types are stripped once, here, not at each start.
RUN rhumb --help >/dev/null
ENTRYPOINT ["rhumb"]
CMD ["start", "-c", "/etc/rhumb/rhumb.yaml"]

# Runs once before all others: keys, certificates and configuration of the stage.
FROM rhumb AS setup
USER root
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends openssl >/dev/null \
 && rm -rf /var/lib/apt/lists/*
COPY deploy/compose ./deploy/compose
USER rhumb
ENTRYPOINT ["/opt/rhumb/deploy/compose/setup.sh"]
CMD []

# A backend of the stage: says who it is, and can be made slow or faulty.
FROM rhumb AS backend
COPY deploy/compose/backend.ts ./deploy/compose/
ENTRYPOINT ["node", "/opt/rhumb/deploy/compose/backend.ts"]
CMD []

# A client of the stage: what people look with, and the load of drills.
FROM rhumb AS client
USER root
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends curl bind9-dnsutils >/dev/null \
 && rm -rf /var/lib/apt/lists/*
USER rhumb
ENTRYPOINT ["sleep"]
CMD ["infinity"]

# Beside each balancer, in its network: speaks BGP, and runs the guard.
FROM base AS exabgp
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends exabgp >/dev/null \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o rhumb -g rhumb -m 750 /run/exabgp
COPY deploy/exabgp/exabgp.env deploy/exabgp/rhumb-guard /etc/exabgp/
COPY deploy/compose/images/exabgp.sh /usr/local/bin/start
ENTRYPOINT ["/usr/local/bin/start"]

FROM base AS bird
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends bird2 >/dev/null \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o rhumb -g rhumb -m 750 /run/bird
COPY deploy/compose/images/bird.sh /usr/local/bin/start
ENTRYPOINT ["/usr/local/bin/start"]

FROM base AS unbound
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends unbound >/dev/null \
 && rm -rf /var/lib/apt/lists/*
USER rhumb
ENTRYPOINT ["/usr/sbin/unbound", "-d", "-p"]
CMD ["-c", "/etc/unbound/unbound.conf"]

FROM base AS redis
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends redis-server >/dev/null \
 && rm -rf /var/lib/apt/lists/*
USER rhumb
ENTRYPOINT ["/usr/bin/redis-server"]

FROM base AS prometheus
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends prometheus >/dev/null \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o rhumb -g rhumb -m 750 /prometheus
USER rhumb
ENTRYPOINT ["/usr/bin/prometheus"]
