# Caddy for a user that is not root: a new volume for its certificates gets the owner of /data here.
FROM caddy:2.11

RUN chown -R 10001:10001 /data /config
USER 10001:10001
