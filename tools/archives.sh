# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Where the distributions' package archives are: sourced by what takes a package from another
# release than the system's. DEBIAN_ARCHIVE=URL or UBUNTU_ARCHIVE=URL says so; else the
# system's own package sources do, or Debian's package debootstrap, which knows both.

# archive_of debian|ubuntu FOLDER: prints the URL. What is brought for that goes below FOLDER.
archive_of() {
	local folder=$2/debootstrap script variable=${1^^}_ARCHIVE url
	url=${!variable:-}
	# of several the one without a path of its own, as security updates have
	# shellcheck disable=SC2016 # these names are apt's
	[ "$url" ] || url=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 2>/dev/null |
		sed -nE "s,^${1^} (.*/${1}/?)\$,\1,p" | sort -u | head -n 1)
	if [ -z "$url" ]; then
		script=usr/sbin/debootstrap
		[ "$1" = debian ] || script=usr/share/debootstrap/scripts/gutsy
		[ -e "$folder/ready" ] || debootstrap_get "$folder" || return 1
		url=$(sed -nE 's/^(DEF_MIRROR=|[[:space:]]*default_mirror )"?(http[^"]*)"?$/\2/p' \
			"$folder/$script" | grep -E "/(debian|ubuntu)\$" | grep -v old-releases | head -n 1)
	fi
	[ "$url" ] && echo "${url%/}"
}

debootstrap_get() { # folder
	local lists=() try
	mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
	for try in system private; do
		if [ $try = private ]; then # no lists here, or none that we may read
			lists=(-o Dir::State::lists="$1/lists" -o Dir::Cache="$1/cache")
			apt-get -qq "${lists[@]}" -o APT::Sandbox::User="$(id -un)" update
		fi
		(cd "$1" && apt-get -qq "${lists[@]}" -o APT::Sandbox::User="$(id -un)" \
			download debootstrap) && break
	done >"$1/log" 2>&1
	dpkg-deb -x "$1"/debootstrap_*.deb "$1" 2>>"$1/log" && touch "$1/ready"
}
