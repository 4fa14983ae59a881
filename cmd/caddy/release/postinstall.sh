#!/bin/sh
# Makes the user that Caddy runs as, and starts or restarts the service.
set -e

if ! getent group caddy >/dev/null; then
	groupadd --system caddy
fi
if ! getent passwd caddy >/dev/null; then
	useradd --system --gid caddy --home-dir /var/lib/caddy --no-create-home \
		--shell /usr/sbin/nologin --comment "Caddy web server" caddy
fi
# The state has keys of certificates, people's grants and, unless it is elsewhere,
# the keyset that opens them.
install -d -o caddy -g caddy -m 0700 /var/lib/caddy

if [ "$1" = configure ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	if [ -z "$2" ]; then
		systemctl enable --now caddy.service || true
	else
		systemctl try-restart caddy.service || true
	fi
fi
