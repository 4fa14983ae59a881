#!/usr/bin/env bash
# Builds a release into the folder dist: for each architecture a program, an archive
# and a Debian package, with a bill of materials, the licences and checksums.
#
#	VERSION=v1.2.3 [ARCHS="amd64 arm64"] cmd/caddy/release/build.sh
#
# The same sources, Go and VERSION give the same bytes, in whatever folder. Times are
# that of the last commit, or SOURCE_DATE_EPOCH where there is no repository.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

[[ ${VERSION:-} =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] || { echo "VERSION has to be like v1.2.3 or v1.2.3-rc.1"; exit 1; }
export VERSION SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export GOFLAGS=-buildvcs=false CGO_ENABLED=0 LC_ALL=C TZ=UTC
umask 022

# What xcaddy leaves out of stock Caddy as well: databases of its ACME server.
tags=nobadger,nomysql,nopgx
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
rm -rf dist
mkdir dist

# build compiles the program for the architecture $1 into the file $2.
build() {
	GOARCH=$1 go build -trimpath -tags "$tags" -o "$2" \
		-ldflags "-s -w -X github.com/caddy-delegate/caddy-delegate/caddymodule/command.release=$VERSION" ./cmd/caddy
}

# settle gives the files of the folder $1 a time and permissions that are not those of the
# checkout, whose user may have a narrower umask.
settle() {
	chmod -R u=rwX,go=rX "$1"
	find "$1" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
}

go build -C .ci/release -o "$scratch/bom" ./bom

# Man pages and completions are the same for every architecture, and written by the
# program of this machine.
build "$(go env GOHOSTARCH)" "$scratch/caddy"
"$scratch/caddy" delegate version
"$scratch/caddy" manpage --directory "$scratch/man"
find "$scratch/man" -type f -exec gzip -9n {} +

for arch in ${ARCHS:-amd64 arm64}; do
	name=caddy-delegate_${VERSION#v}_linux_$arch
	program=$PWD/dist/$name
	build "$arch" "$program"
	"$scratch/bom" -program "$program" -version "$VERSION" -allowed .ci/release/licences.txt \
		-bom "$program.cdx.json" -licences "$scratch/licences"

	# The archive: one folder with everything that is needed without a package.
	folder=$scratch/archive/$name
	mkdir -p "$folder/cmd/caddy/release"
	cp "$program" "$folder/caddy"
	cp -r LICENSE README.md Caddyfile.example "$folder"
	cp "$scratch/licences" "$folder/LICENSES-OF-MODULES"
	cp "$program.cdx.json" "$folder/sbom.cdx.json"
	mkdir "$folder/caddymodule"
	cp -r caddymodule/docs "$folder/caddymodule"
	cp cmd/caddy/release/caddy.service "$folder/cmd/caddy/release"
	settle "$folder"
	tar -C "$scratch/archive" --sort=name --owner=0 --group=0 --numeric-owner -c "$name" | gzip -9n >"$program.tar.gz"

	# The package: the same, where Debian has it.
	tree=$scratch/tree/$arch
	share=$tree/usr/share
	docs=$share/doc/caddy-delegate
	mkdir -p "$tree/usr/bin" "$tree/usr/lib/systemd/system" "$share/man/man8" "$docs/caddymodule"
	mkdir -p "$share"/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d}
	install -m 0755 "$program" "$tree/usr/bin/caddy"
	cp cmd/caddy/release/caddy.service "$tree/usr/lib/systemd/system"
	cp "$scratch/man"/* "$share/man/man8"
	"$scratch/caddy" completion bash >"$share/bash-completion/completions/caddy"
	"$scratch/caddy" completion zsh >"$share/zsh/vendor-completions/_caddy"
	"$scratch/caddy" completion fish >"$share/fish/vendor_completions.d/caddy.fish"
	cp README.md Caddyfile.example "$docs"
	cp "$program.cdx.json" "$docs/sbom.cdx.json"
	cp -r caddymodule/docs "$docs/caddymodule"
	{ cat LICENSE; echo; cat "$scratch/licences"; } >"$docs/copyright"
	settle "$tree"
	ARCH=$arch TREE=$tree go tool -modfile=.ci/release/go.mod nfpm package \
		--config cmd/caddy/release/nfpm.yaml --packager deb --target "$program.deb"
done

(cd dist && sha256sum -- * >SHA256SUMS)
ls -l dist
