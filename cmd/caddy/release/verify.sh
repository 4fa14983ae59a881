#!/usr/bin/env bash
# Verifies the release of VERSION in dist: builds it again in another folder and with
# an empty build cache, which has to give the same bytes, and tests the package of
# this machine's architecture in a fresh Debian. Needs root and mmdebstrap.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

scratch=$(mktemp -d)
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT
arch=$(go env GOHOSTARCH)
name=caddy-delegate_${VERSION#v}_linux_$arch

mkdir "$scratch/again"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$scratch/again"
chmod -R go-rwx "$scratch/again" # as of somebody whose umask is 077
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
GOCACHE=${GOCACHE_AGAIN:-$scratch/cache} ARCHS=$arch "$scratch/again/cmd/caddy/release/build.sh"
for file in dist/"$name"*; do
	cmp "$file" "$scratch/again/$file"
done
echo "built again: the same bytes"

mmdebstrap --quiet --variant=minbase bookworm "$scratch/debian.tar"
RELEASE_VERSION=$VERSION RELEASE_PACKAGE=$PWD/dist/$name.deb RELEASE_DEBIAN=$scratch/debian.tar \
	go test -count=1 -v -run Package ./cmd/caddy/release
