#!/bin/sh
# Notes that the package is installed and not upgraded: where it was before, and has
# been removed, dpkg tells the postinstall script the earlier version all the same.
set -e

if [ "$1" = install ]; then
	touch "${DPKG_ROOT:-}/run/caddy-delegate.installed"
fi
