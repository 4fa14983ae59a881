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

# Debian's and Caddy's own package mask the service when they are removed, as by the
# installation of this one. A mask of the operator's stays.
if command -v deb-systemd-helper >/dev/null; then
	deb-systemd-helper unmask caddy.service >/dev/null || true
fi
# Their scripts, which stay until they are purged, delete what is this package's then.
if [ "$(dpkg-query --show --showformat='${db:Status-Status}' caddy 2>/dev/null)" = config-files ]; then
	echo "caddy-delegate: do not purge the package caddy: that would delete /var/lib/caddy and /etc/caddy" >&2
fi

installed="${DPKG_ROOT:-}/run/caddy-delegate.installed"
if [ "$1" = configure ] && [ -d "${DPKG_ROOT:-}/run/systemd/system" ]; then
	systemctl daemon-reload
	if [ -z "$2" ] || [ -e "$installed" ]; then
		systemctl enable --now caddy.service || true
	else
		systemctl try-restart caddy.service || true
	fi
fi
rm -f "$installed"
