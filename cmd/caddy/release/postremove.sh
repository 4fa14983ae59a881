#!/bin/sh
# Leaves /var/lib/caddy, the credentials and the user: grants and the keyset cannot be
# made again, and files of a user who is gone would be the next one's.
set -e

if [ -d "${DPKG_ROOT:-}/run/systemd/system" ]; then
	systemctl daemon-reload || true
fi
