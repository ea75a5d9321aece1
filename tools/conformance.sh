#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Linux's own self-tests of iommufd, unmodified, on this project's /dev/iommu.
#
#   tools/conformance.sh [[--report] VERSION]...
#
# VERSION is a Debian kernel's, as 6.12, "distribution" (the newest that this system's
# package sources offer) or "newest" (the newest that Debian's do); nothing: both of these.
# LINUX_SELFTESTS=DIR tests the tree at DIR instead, whose headers are in DIR/usr/include
# already or can be made. The sources come from packages linux-source-*, which are unpacked
# below build/conformance and neither installed nor changed; apt's configuration and lists
# for "newest" are private, too. NESTOR_RUN=FILE is the nestor-run to use,
# CONFORMANCE_DIR=DIR another place than build/conformance, CONFORMANCE_SECONDS=N how long
# a program may take.
#
# Prints KTAP, a summary line for each program, and what differs from
# tests/conformance/expected-VERSION.txt. A version without such a file, or with --report
# before it, is reported, and nothing that it comes to is a failure.
#
# The tests of some releases do not compile with that release's headers: 6.12's stable
# tests were brought up to date without them. Then Debian's newest <linux/iommufd.h> goes
# in front of the release's headers, and tests/conformance/names-VERSION.h has what the
# release's iommufd_test.h lacks. Where that file is missing too, a version that is
# expected to run fails.
#
# Status: 0 if nothing differs, 1 if something does, 2 if no version could be had.
set -u
cd "$(dirname "$0")/.." || exit 2
top=$(realpath -m "${CONFORMANCE_DIR:-build/conformance}")
run=$(realpath -m "${NESTOR_RUN:-build/host/nestor-run}")
deadline=${CONFORMANCE_SECONDS:-900} # for a program
suites='sid trixie-backports' # of Debian's, where the newest is
# shellcheck source=tools/archives.sh
. tools/archives.sh
number=0 failed=0 tested=0 report='' reason=''

say() { echo "# $*"; }
give_up() { # why
	reason=$*
	say "not tested: $*"
}

# ---- sources ---------------------------------------------------------------------------

apt_limits=(-o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o Acquire::Retries=1)

apt_new() { # COMMAND...: with private lists of Debian's newest suites
	"$1" "${apt_limits[@]}" -o Dir::Etc::sourcelist="$top/apt/sources.list" -o Dir::Etc::sourceparts=- \
		-o Dir::State::lists="$top/apt/lists" -o Dir::Cache="$top/apt/cache" \
		-o APT::Sandbox::User="$(id -un)" "${@:2}"
}

# COMMAND...: with the system's sources, and private lists of these if it has none yet
# shellcheck disable=SC2317 # called by its name in a variable
apt_here() {
	local lists=()
	[ -d "$top/here/lists" ] && lists=(-o Dir::State::lists="$top/here/lists"
		-o Dir::Cache="$top/here/cache")
	"$1" "${apt_limits[@]}" "${lists[@]}" -o APT::Sandbox::User="$(id -un)" "${@:2}"
}

apt_here_prepare() {
	[ "$(newest_of apt_here)" ] && return 0
	mkdir -p "$top/here/lists/partial" "$top/here/cache/archives/partial"
	apt_here apt-get -qq update >"$top/log" 2>&1
	[ "$(newest_of apt_here)" ] && return 0
	rm -rf "$top/here"
	return 1
}

apt_new_prepare() {
	[ -e "$top/apt/ready" ] && return 0
	mkdir -p "$top/apt/lists/partial" "$top/apt/cache/archives/partial"
	local keyring=/usr/share/keyrings/debian-archive-keyring.gpg archive suite
	archive=$(archive_of debian "$top") || return 1
	for suite in $suites; do
		echo "deb [signed-by=$keyring] $archive $suite main"
	done >"$top/apt/sources.list"
	apt_new apt-get -qq update >"$top/apt/log" 2>&1 && touch "$top/apt/ready"
}

newest_of() { # apt function: the highest version of linux-source-* that it knows
	"$1" apt-cache search --names-only '^linux-source-[0-9.]+$' 2>/dev/null |
		sed -n 's/^linux-source-\([0-9.]*\) .*/\1/p' | sort -V | tail -n 1
}

package_get() { # name, file name pattern: the downloaded file, from here or from Debian
	local from file
	for from in apt_here apt_new; do
		[ "$from" = apt_new ] && { apt_new_prepare || continue; }
		(cd "$top/packages" && "$from" apt-get -qq download "$1" >"$top/log" 2>&1) || continue
		file=$(find "$top/packages" -maxdepth 1 -name "$1_*.deb" | sort -V | tail -n 1)
		[ "$file" ] && { echo "$file"; return 0; }
	done
	return 1
}

tree_get() { # version: unpack what the tests and their headers need; the folder
	local tree=$top/linux-$1 package archive
	[ -e "$tree/ready" ] && { echo "$tree"; return 0; }
	mkdir -p "$top/packages" "$tree"
	package=$(package_get "linux-source-$1") || return 1
	archive="./usr/src/linux-source-$1.tar.xz"
	dpkg-deb --fsys-tarfile "$package" | tar -xO "$archive" | tar -xJ -C "$tree" \
		--strip-components=1 --anchored --wildcards --no-wildcards-match-slash \
		'linux-source-*/Makefile' 'linux-source-*/scripts' 'linux-source-*/include' \
		'linux-source-*/arch/x86' 'linux-source-*/usr' 'linux-source-*/tools/scripts' 'linux-source-*/tools/include' \
		'linux-source-*/tools/testing/selftests/iommu' \
		'linux-source-*/tools/testing/selftests/*.h' \
		'linux-source-*/drivers/iommu/iommufd/iommufd_test.h' 2>"$top/log" || return 1
	touch "$tree/ready"
	rm -f "$package"
	echo "$tree"
}

# A folder with the newest <linux/iommufd.h> alone.
header_get() {
	local package folder=$top/newer
	if [ ! -e "$folder/linux/iommufd.h" ]; then
		mkdir -p "$top/packages" "$folder"
		apt_new_prepare || return 1
		(cd "$top/packages" && apt_new apt-get -qq download linux-libc-dev >"$top/log" 2>&1) ||
			return 1
		package=$(find "$top/packages" -name 'linux-libc-dev_*.deb' | sort -V | tail -n 1)
		dpkg-deb --fsys-tarfile "$package" | tar -x -C "$folder" --strip-components=3 \
			./usr/include/linux/iommufd.h 2>"$top/log" || return 1
	fi
	echo "$folder"
}

# The library that the tests use to drop rights; its headers may not be installed.
capability_flags() {
	local package
	if echo '#include <sys/capability.h>' | cc -E - >/dev/null 2>&1; then
		echo "-lcap"
		return 0
	fi
	if [ ! -e "$top/libcap/ready" ]; then
		mkdir -p "$top/packages"
		package=$(package_get libcap-dev) || return 1
		dpkg-deb -x "$package" "$top/libcap" && touch "$top/libcap/ready"
	fi
	echo "-I$top/libcap/usr/include $(find "$top/libcap" -name libcap.a)"
}

# ---- one tree ---------------------------------------------------------------------------

# Compile a program as the release would have it, or with names that it lacks: the flags
# that it took, in words.
program_make() { # tree, version, program, output, flags
	local tests=$1/tools/testing/selftests names=tests/conformance/names-$2.h newer
	local -a flags
	read -ra flags <<<"$5"
	if cc -D_GNU_SOURCE= -O2 -w -isystem "$1/usr/include" -I"$tests" -o "$4" \
		"$tests/iommu/$3.c" "${flags[@]}" >"$4.cc" 2>&1; then
		return 0
	fi
	[ -e "$names" ] || return 1
	newer=$(header_get) || { echo "error: no newer <linux/iommufd.h> in reach" >>"$4.cc"; return 2; }
	say "$3: $(grep -c 'error:' "$4.cc") errors with that release's own headers;" \
		"built with the newest <linux/iommufd.h> and $names"
	cc -D_GNU_SOURCE= -O2 -w -include "$names" -isystem "$newer" -isystem "$1/usr/include" \
		-I"$tests" -o "$4" "$tests/iommu/$3.c" "${flags[@]}" >"$4.cc" 2>&1
}

# Prints "name result" for each case. The status is nestor-run's: 125 if the core did not
# get all back, or tripped over a sanitizer.
program_run() { # program, log
	timeout --kill-after=10 "$deadline" "$run" --strict "$1" >"$2" 2>&1
	local status=$?
	[ $status = 124 ] && say "$(basename "$1"): not done in $deadline seconds" >&2
	grep -q 'Sanitizer:\|runtime error:' "$2" && status=125
	sed -n 's/^\(not ok\|ok\) [0-9]* \([^ #]*\)\( # SKIP.*\)\{0,1\}.*/\1|\2|\3/p' "$2" |
		while IFS='|' read -r result name skip; do
			[ "$result" = 'not ok' ] && result=fail
			[ "$skip" ] && result=skip
			echo "$name $result"
		done
	awk '/^# *RUN/ { name = $3 } /^(not )?ok / { name = "" }
		END { if (name) print name, "died" }' "$2"
	return $status
}

# What each case came to, against what is expected: a KTAP line each. A file's lines are
# "program name result reason"; a case that is not listed must pass.
judge() { # program, results, expected file
	local name result want reason line
	if [ ! -e "$3" ]; then
		say "reported only: there is no $3"
		grep -vE ' (ok|skip)$' "$2" | sed "s/^/# $1 /"
		return
	fi
	if [ "$report" ]; then
		while read -r name result; do
			line=$(grep -m1 "^$1 $name " "$3")
			read -r _ _ want _ <<<"$line"
			[ "$result" = "${want:-ok}" ] ||
				say "reported only: $1 $name: $result, expected ${want:-ok}"
		done <"$2"
		return
	fi
	while read -r name result; do
		number=$((number + 1))
		line=$(grep -m1 "^$1 $name " "$3" 2>/dev/null)
		read -r _ _ want reason <<<"$line"
		want=${want:-ok}
		if [ "$result" = "$want" ] && [ "$want" = ok ]; then
			echo "ok $number - $1 $name"
		elif [ "$result" = "$want" ] && [ "$want" = skip ]; then
			echo "ok $number - $1 $name # SKIP $reason"
		elif [ "$result" = "$want" ]; then
			echo "not ok $number - $1 $name # TODO $reason"
		else
			failed=$((failed + 1))
			echo "not ok $number - $1 $name"
			say "$result, expected $want"
		fi
	done <"$2"
	# what is listed and did not run has not passed either
	while read -r _ name _; do
		grep -q "^$name " "$2" && continue
		number=$((number + 1)) failed=$((failed + 1))
		echo "not ok $number - $1 $name"
		say "it is expected, and there is no such case"
	done < <(grep "^$1 " "$3" 2>/dev/null)
}

tree_test() { # tree, version
	local tree=$1 version=$2 here=$top/$2 flags program total
	local tests=$tree/tools/testing/selftests expected=tests/conformance/expected-$2.txt
	local seconds status result
	if [ ! -e "$tests/iommu/iommufd.c" ]; then
		give_up "$version has no tools/testing/selftests/iommu"
		return
	fi
	if [ ! -e "$tree/usr/include/linux/iommufd.h" ] &&
		! make -s -C "$tree" ARCH=x86 headers >"$top/log" 2>&1; then
		give_up "$version: its headers cannot be made: $(tail -n 1 "$top/log")"
		return
	fi
	flags=$(capability_flags) || { give_up "libcap's headers cannot be had"; return; }
	mkdir -p "$here"
	say "Linux $version: $(sed -n '2,4s/.*= *//p' "$tree/Makefile" | paste -sd.)"
	for program in iommufd iommufd_fail_nth; do
		program_make "$tree" "$version" "$program" "$here/$program" "$flags"
		case $? in
		0) ;;
		2) give_up "$version: $program: $(tail -n 1 "$here/$program.cc")"; continue ;;
		*)
			give_up "$version: $program does not compile: $(grep -m1 error: "$here/$program.cc")"
			if [ -e "$expected" ] && [ ! "$report" ]; then
				number=$((number + 1)) failed=$((failed + 1))
				echo "not ok $number - $program compiles"
			fi
			continue
			;;
		esac
		tested=$((tested + 1)) seconds=$SECONDS
		program_run "$here/$program" "$here/$program.log" >"$here/$program.results"
		status=$?
		seconds=$((SECONDS - seconds))
		judge "$program" "$here/$program.results" "$expected"
		total=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$here/$program.log" | head -n 1)
		if [ -e "$expected" ] && [ ! "$report" ] &&
			[ "$(wc -l <"$here/$program.results")" != "${total:-none}" ]; then
			number=$((number + 1)) failed=$((failed + 1))
			echo "not ok $number - $program ran to its end"
			tail -n 5 "$here/$program.log" | sed 's/^/# /'
		fi
		if [ -e "$expected" ] && [ ! "$report" ]; then
			number=$((number + 1)) result=ok
			[ $status = 125 ] && result='not ok' failed=$((failed + 1))
			echo "$result $number - $program: the core got everything back"
		fi
		if [ $status = 125 ]; then
			grep 'nestor-run:\|server:\|Sanitizer\|runtime error' "$here/$program.log" |
				head -n 20 | sed 's/^/# /'
		fi
		awk -v p="$program" -v v="$version" -v s="$seconds" '{ n[$2]++ } END {
			printf "# %s of Linux %s: %d cases: %d pass, %d skip, %d fail, %d died (%d s)\n",
				p, v, NR, n["ok"], n["skip"], n["fail"], n["died"], s }' \
			"$here/$program.results"
	done
}

# ---- the command line ---------------------------------------------------------------------

echo "KTAP version 1"
if [ ! -x "$run" ]; then
	echo "Bail out! $run is missing: make host"
	exit 1
fi
mkdir -p "$top"
if [ "${LINUX_SELFTESTS:-}" ]; then
	tree_test "$(realpath "$LINUX_SELFTESTS")" \
		"$(sed -n '2,3s/.*= *//p' "$LINUX_SELFTESTS/Makefile" | paste -sd.)"
else
	[ $# = 0 ] && set -- distribution newest
	done=' '
	for word in "$@"; do
		[ "$word" = --report ] && { report=yes; continue; }
		version=$word
		[ "$word" = distribution ] && version=$(apt_here_prepare && newest_of apt_here)
		[ "$word" = newest ] && version=$(apt_new_prepare && newest_of apt_new)
		case $version in
		[0-9]*) ;;
		*) give_up "$word: no package linux-source-* in reach"; continue ;;
		esac
		case $done in *" $version "*) continue ;; esac
		done="$done$version "
		if tree=$(tree_get "$version"); then
			tree_test "$tree" "$version"
			report=''
		else
			rm -rf "$top/linux-$version"
			give_up "linux-source-$version cannot be had: $(tail -n 1 "$top/log")"
		fi
	done
fi
[ $tested = 0 ] && [ $number = 0 ] && {
	echo "1..0 # SKIP $reason"
	exit 2
}
echo "1..$number"
say "$number points, $failed not as expected"
[ $failed = 0 ]
