# dialogpt on the CPU. Built from the lockfile with scripts off; runs as a user without rights.
#
#   docker build -t dialogpt .
#   docker run -p 8000:8000 -e DIALOGPT_API_KEY=secret dialogpt serve --host 0.0.0.0
#   docker run -p 8000:8000 -v "$PWD/my-model:/models/my-model:ro" -e DIALOGPT_API_KEY=secret \
#     dialogpt serve --model /models/my-model --host 0.0.0.0
FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY src ./src
COPY web ./web
COPY test ./test
COPY bench ./bench
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:22-bookworm-slim
ENV NODE_ENV=production HF_HOME=/models/hub XDG_DATA_HOME=/data
WORKDIR /app
COPY package.json LICENSE ./
COPY corpus ./corpus
COPY models ./models
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist/src ./dist/src
COPY --from=build /app/dist/web ./dist/web
RUN ln -s /app/dist/src/cli/main.js /usr/local/bin/dialogpt && chmod +x /app/dist/src/cli/main.js \
  && mkdir -p /models/hub /data && chown node:node /models/hub /data
USER node
VOLUME /models/hub /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["node", "-e", "fetch('http://127.0.0.1:8000/ready').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["dialogpt"]
CMD ["--help"]
