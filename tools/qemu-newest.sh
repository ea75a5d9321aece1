#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Bring the newest QEMU that Debian's archive offers (stable, or its backports) into
# one folder of the build tree, for tests beside the distribution's own. The system is
# not touched: apt keeps its state in that folder, packages are only downloaded and
# unpacked there, and QEMU runs by the loader and the libraries that came with it.
#
# The archive and its keys are the ones that this machine is configured with; a machine
# without a Debian archive (or without network) gets a plain reason and status 77.
# Versions are not pinned, because the archive keeps no old ones.
#
# Usage: tools/qemu-newest.sh [--print] [--force] [FOLDER]     (build/qemu-newest)
#
#   --print   the last line on standard output is the program to run, and nothing else
#             is written there
#   --force   bring it again, even if it is there
#
# Exit status: 0 it is there; 77 it cannot be had, the reason is on standard error.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
folder=$here/build/qemu-newest
print=
force=
while [ $# -gt 0 ]; do
	case $1 in
	--print) print=1 ;;
	--force) force=1 ;;
	-h | --help)
		sed -n '4,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
		exit 0
		;;
	-*)
		echo "qemu-newest: unknown option $1: --print, --force, or a folder" >&2
		exit 2
		;;
	*) folder=$1 ;;
	esac
	shift
done
case $folder in
/*) ;;
*) folder=$PWD/$folder ;;
esac
wrapper=$folder/qemu-system-x86_64

refuse() {
	echo "qemu-newest: not available: $*" >&2
	exit 77
}

finish() {
	if [ "$print" ]; then
		echo "$wrapper"
	else
		echo "$("$wrapper" --version | head -n 1): $wrapper"
	fi
	exit 0
}

# The wrapper is written last, so where it is, the rest is. It names its own folder: one
# that was moved is brought again.
works() {
	[ -x "$wrapper" ] && "$wrapper" --version >/dev/null 2>&1
}

[ -z "$force" ] && works && finish
mkdir -p "$folder"

# One at a time: tests may ask in parallel.
if command -v flock >/dev/null; then
	exec 9>"$folder/lock"
	flock -w 300 9 || refuse "another run holds $folder/lock"
	[ -z "$force" ] && works && finish
fi

# A failure is remembered for a quarter of an hour: a machine without network should not
# wait for it in every test.
failed=$folder/failed
if [ -z "$force" ] && [ -s "$failed" ] && [ -n "$(find "$failed" -mmin -15)" ]; then
	refuse "$(cat "$failed") (tried less than 15 minutes ago; --force tries again)"
fi
give_up() {
	echo "$*" >"$failed"
	refuse "$*"
}

for tool in apt-get dpkg-deb tar; do
	command -v "$tool" >/dev/null || refuse "no $tool on this machine"
done
[ "$(dpkg --print-architecture)" = amd64 ] || refuse "this machine is no amd64"

# The first Debian archive among the machine's sources: one that lists Debian's own
# keyring, or whose address ends in /debian. $(...) below are apt's, not the shell's.
# shellcheck disable=SC2016
sources=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(SIGNED_BY)' \
	'Created-By: Packages' 2>/dev/null) || refuse "apt-get cannot list this machine's sources"
archive=
keys=
while read -r uri release component signed; do
	case $uri in
	*/debian | */debian/) ;;
	*) continue ;;
	esac
	case $release in
	*-security | *-backports | *-updates | */*) continue ;;
	esac
	[ "$component" = main ] || continue
	archive=$uri
	case $signed in
	/*) keys=$signed ;; # some versions of apt leave the word as it is
	esac
	break
done <<LIST
$sources
LIST
[ "$archive" ] || refuse "no Debian archive among this machine's package sources"
if [ -z "$keys" ]; then
	for candidate in /usr/share/keyrings/debian-archive-keyring.gpg \
		/usr/share/keyrings/debian-archive-keyring.pgp; do
		[ -r "$candidate" ] && keys=$candidate && break
	done
fi

apt=$folder/apt
root=$folder/root
rm -rf "$apt" "$root" "$wrapper" "$failed"
mkdir -p "$apt/etc" "$apt/state/lists/partial" "$apt/cache/archives/partial" "$root"
: >"$apt/status"
for suite in stable stable-backports; do
	echo "deb [arch=amd64${keys:+ signed-by=$keys}] $archive $suite main"
done >"$apt/etc/sources.list"

# Nothing is installed here in apt's eyes (an empty status file), so every library that
# QEMU needs is brought along, the C library and its loader included.
own_apt() {
	apt-get -q -y \
		-o Dir::State="$apt/state" -o Dir::State::lists="$apt/state/lists" \
		-o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" \
		-o Dir::Etc::sourcelist="$apt/etc/sources.list" -o Dir::Etc::sourceparts=- \
		-o Dir::Etc::preferences=- -o Dir::Etc::preferencesparts=- \
		-o APT::Architecture=amd64 -o APT::Architectures::=amd64 \
		-o APT::Install-Recommends=0 -o APT::Install-Suggests=0 \
		-o APT::Sandbox::User="$(id -un)" -o APT::Update::Post-Invoke-Success::= \
		-o APT::Default-Release=stable-backports \
		-o Acquire::Languages=none -o Acquire::Retries=2 -o Acquire::http::Timeout=20 \
		-o Acquire::https::Timeout=20 "$@" >>"$folder/log" 2>&1
}

echo "qemu-newest: asking the Debian archive of this machine for its newest QEMU" >&2
: >"$folder/log"
own_apt update || give_up "the archive's lists cannot be read, see $folder/log"
grep -q '^E:\|^W: Failed to fetch' "$folder/log" &&
	give_up "the archive's lists cannot be read, see $folder/log"
own_apt install --download-only qemu-system-x86 ||
	give_up "the packages cannot be downloaded, see $folder/log"

for package in "$apt"/cache/archives/*.deb; do
	[ -e "$package" ] || give_up "nothing was downloaded, see $folder/log"
	# No package has set-user-id files that we need, nor owners that matter.
	dpkg-deb --fsys-tarfile "$package" |
		tar -x -C "$root" --no-same-owner --no-same-permissions \
			--exclude='./usr/share/doc' --exclude='./usr/share/man' \
			--exclude='./usr/share/locale' 2>>"$folder/log" ||
		give_up "$(basename "$package") cannot be unpacked, see $folder/log"
done
rm -rf "$apt"

loader=
for candidate in usr/lib/x86_64-linux-gnu lib/x86_64-linux-gnu lib64 usr/lib64; do
	if [ -x "$root/$candidate/ld-linux-x86-64.so.2" ]; then
		loader=$root/$candidate/ld-linux-x86-64.so.2
		break
	fi
done
[ "$loader" ] || give_up "the unpacked C library has no loader"
program=$root/usr/bin/qemu-system-x86_64
[ -x "$program" ] || give_up "the unpacked packages have no qemu-system-x86_64"

libraries=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu:$root/usr/lib
cat >"$wrapper.new" <<WRAPPER
#!/bin/sh
# Written by tools/qemu-newest.sh.
QEMU_MODULE_DIR='$root/usr/lib/x86_64-linux-gnu/qemu' exec '$loader' \\
	--library-path '$libraries' '$program' -L '$root/usr/share/qemu' \\
	-L '$root/usr/share/seabios' -L '$root/usr/lib/ipxe/qemu' "\$@"
WRAPPER
chmod +x "$wrapper.new"
"$wrapper.new" --version >>"$folder/log" 2>&1 ||
	give_up "the unpacked QEMU does not start, see $folder/log"
mv "$wrapper.new" "$wrapper"
finish
