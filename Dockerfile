# One image for every role: `docker run … obiente/cloud api`, `… orchestrator`, `… node`, `… streamer`.
FROM node:24.21.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production \
    NODE_COMPILE_CACHE=/var/cache/obiente
WORKDIR /app
# The role `node` fetches sources with git.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates git openssh-client \
    && rm -rf /var/lib/apt/lists/*
# Volumes that are mounted here take over the owner.
RUN mkdir -p /var/cache/obiente /var/lib/obiente /etc/obiente/keys /etc/obiente/node /etc/obiente/traefik \
    && chown -R node:node /var/cache/obiente /var/lib/obiente /etc/obiente
COPY --from=dependencies /app/node_modules ./node_modules
COPY . .
RUN node workers/make-bundle.ts
# The roles `node` and `streamer` reach the Docker socket: run these two as root or in the socket's group.
USER node
ENTRYPOINT ["node", "cli/main.ts"]
CMD ["api"]
