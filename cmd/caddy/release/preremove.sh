#!/bin/sh
# Stops the service before its program goes. An upgrade restarts it afterwards.
set -e

if [ "$1" = remove ] && [ -d "${DPKG_ROOT:-}/run/systemd/system" ]; then
	systemctl disable --now caddy.service || true
fi
