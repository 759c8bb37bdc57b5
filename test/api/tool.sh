#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The command `tract': each way it can succeed, and each thing it refuses with the reason it gives.
# TRACT_BUILD is the build folder (bin/tract, lib/libtract.so.1); default: the current folder.
# TRACT_PREFIX is the public prefix it was configured with, if any.
set -u
LC_ALL=C
export LC_ALL
unset LD_PRELOAD MALLOC_CONF TRACT_SUMMARY_FD 2>/dev/null

build=$(cd "${TRACT_BUILD:-.}" && pwd) || exit 1
tract=$build/bin/tract
library=$build/lib/libtract.so.1
cc=${CC:-cc}
nobody=65534
for file in "$tract" "$library"; do
	[ -r "$file" ] || { echo "not ok tool: no $file"; exit 1; }
done
# Not below /tmp by name only: a file system mounted nosuid would hide the set-user-ID tests.
tmp=$(mktemp -d) || exit 1
chmod 755 "$tmp"
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP

passed=0
failed=0
skipped=0
ok() { passed=$((passed + 1)); echo "ok $1"; }
skip() { skipped=$((skipped + 1)); echo "skip $1 $2"; }
not_ok() {
	failed=$((failed + 1))
	echo "not ok $1: $2"
	sed 's/^/	/' "$tmp/err"
}

# expect NAME STATUS PATTERN COMMAND...: run it, compare the status, and find PATTERN (a grep -E
# expression; '' for: nothing at all) in what it wrote to stderr.
expect() {
	name=$1 status=$2 pattern=$3
	shift 3
	"$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	got=$?
	if [ "$got" -ne "$status" ]; then
		not_ok "$name" "status $got, not $status"
	elif [ -z "$pattern" ] && [ -s "$tmp/err" ]; then
		not_ok "$name" "unexpected output on stderr"
	elif ! grep -Eq "$pattern" "$tmp/err" && [ -n "$pattern" ]; then
		not_ok "$name" "stderr does not match '$pattern'"
	else
		ok "$name"
	fi
}

# The last command that expect ran printed exactly this on stdout.
expect_output() {
	if [ "$(cat "$tmp/out")" = "$2" ]; then
		ok "$1"
	else
		not_ok "$1" "printed '$(cat "$tmp/out")', not '$2'"
	fi
}

echo 'int main(void) { return 0; }' >"$tmp/empty.c"

if [ -n "${TRACT_PREFIX:-}" ]; then
	expect refuse_prefixed 125 "with the prefix '$TRACT_PREFIX' and replaces no malloc" \
	    "$tract" run true
	echo "tool: $passed passed, $failed failed"
	exit $failed
fi

# --- what works

expect run_status_0 0 '' "$tract" run true
expect run_status_7 7 '' "$tract" run -- sh -c 'exit 7'
expect run_status_signal 137 Killed sh -c '"$0" run sh -c "kill -9 \$\$"; exit $?' "$tract"
expect run_preloads 0 '' "$tract" run grep -c -m1 "$library" /proc/self/maps
expect run_arguments 0 '' "$tract" run -o narenas:1 printf '%s|' -o --summary '' 'a b'
expect_output arguments_reach_the_command '-o|--summary||a b|'
cp /usr/bin/true "$tmp/a command"
expect run_path_with_space 0 '' "$tract" run "$tmp/a command"
printf '#!/bin/sh\necho script "$@"\n' >"$tmp/script"
printf 'echo plain "$@"\n' >"$tmp/plain"
chmod 755 "$tmp/script" "$tmp/plain"
expect run_script 0 '' "$tract" run "$tmp/script" 1 2
expect_output script_ran 'script 1 2'
expect run_text_file 0 '' "$tract" run "$tmp/plain" 1 2
expect_output text_file_ran_in_the_shell 'plain 1 2'
expect run_searches_path 0 '' env PATH="/nonexistent:$tmp:$PATH" "$tract" run script
expect_output found_in_path 'script'
ln -s "$tract" "$tmp/linked"
expect run_through_a_link 0 '' "$tmp/linked" run true

# --- the environment

expect env_preload 0 '' "$tract" run printenv LD_PRELOAD
expect_output preload_is_the_library "$library"
expect env_preload_kept 0 '' env LD_PRELOAD=libm.so.6 "$tract" run printenv LD_PRELOAD
expect_output preload_appended "$library:libm.so.6"
expect env_options 0 '' "$tract" run -o narenas:1 -o retain:true printenv MALLOC_CONF
expect_output options_merged 'narenas:1,retain:true'
expect env_options_kept 0 '' env MALLOC_CONF=narenas:2 "$tract" run -onarenas:1,retain:true \
    printenv MALLOC_CONF
expect_output options_appended 'narenas:2,narenas:1,retain:true'
expect env_no_options 1 '' "$tract" run printenv MALLOC_CONF

# --- mistakes in the call

expect usage_nothing 125 '' "$tract"
expect usage_unknown_word 125 "^tract: unknown command 'rum'" "$tract" rum
expect usage_no_command 125 'which command\?' "$tract" run
expect usage_only_dashes 125 'which command\?' "$tract" run --
expect usage_unknown_option 125 "unknown option '--sumary'" "$tract" run --sumary true
expect usage_option_no_value 125 "'-o' needs a value" "$tract" run -o
expect usage_option_no_colon 125 "'-o narenas=1': an option is KEY:VALUE" \
    "$tract" run -o narenas=1 true
expect usage_option_no_key 125 "'-o :1'" "$tract" run -o :1 true

# --- commands that cannot run

expect refuse_not_found 127 '^tract: no-such-command: command not found' \
    "$tract" run no-such-command
expect refuse_no_file 127 "^tract: $tmp/none: command not found" "$tract" run "$tmp/none"
expect refuse_folder 126 "^tract: $tmp: Is a directory" "$tract" run "$tmp"
expect refuse_not_executable 126 "^tract: $tmp/empty.c: Permission denied" \
    "$tract" run "$tmp/empty.c"
printf '#!%s/none\n' "$tmp" >"$tmp/orphan"
chmod 755 "$tmp/orphan"
expect refuse_no_interpreter 126 "interpreter '$tmp/none' of the script $tmp/orphan: No such" \
    "$tract" run "$tmp/orphan"
printf '#!%s/circle\n' "$tmp" >"$tmp/circle"
chmod 755 "$tmp/circle"
expect refuse_circle 126 "$tmp/circle: Too many levels" "$tract" run "$tmp/circle"

if $cc -static -o "$tmp/static" "$tmp/empty.c" 2>"$tmp/err"; then
	expect refuse_static 126 "^tract: $tmp/static is a static program" "$tract" run "$tmp/static"
	printf '#! %s/static x\n' "$tmp" >"$tmp/static-script"
	chmod 755 "$tmp/static-script"
	expect refuse_script_of_static 126 "^tract: $tmp/static is a static program" \
	    "$tract" run "$tmp/static-script"
else
	skip refuse_static 'the compiler makes no static program'
fi
if $cc -static-pie -fPIE -o "$tmp/static-pie" "$tmp/empty.c" 2>"$tmp/err"; then
	expect refuse_static_pie 126 'is a static program' "$tract" run "$tmp/static-pie"
else
	skip refuse_static_pie 'the compiler makes no static PIE'
fi
if command -v musl-gcc >/dev/null && musl-gcc -o "$tmp/musl" "$tmp/empty.c" 2>"$tmp/err"; then
	expect refuse_other_libc 126 "$tmp/musl belongs to another C library .*ld-musl" \
	    "$tract" run "$tmp/musl"
else
	skip refuse_other_libc 'no musl-gcc'
fi

# A copy of true with one byte of its ELF header changed: at 4 the class, at 18 the machine.
patched_true() {
	cp /usr/bin/true "$3" && printf "$2" | dd of="$3" bs=1 seek="$1" conv=notrunc 2>/dev/null
}
case $(uname -m) in
x86_64) other='\267' other_name='64-bit aarch64' ;;
*) other='\076' other_name='64-bit x86-64' ;;
esac
patched_true 18 "$other" "$tmp/other-machine"
expect refuse_other_machine 126 "another architecture \\($other_name, the library is" \
    "$tract" run "$tmp/other-machine"
patched_true 4 '\001' "$tmp/other-class"
expect refuse_other_class 126 'another architecture \(32-bit' "$tract" run "$tmp/other-class"

# --- programs that gain privileges

# The kernel calls a start secure if the effective user changes.  So root is refused a program of
# nobody's, and nobody one of root's; but the owner is not.
as_nobody() { setpriv --reuid=$nobody --regid=$nobody --clear-groups "$@"; }
if [ "$(id -u)" -ne 0 ]; then
	skip refuse_setuid 'needs root'
elif [ "$(findmnt -no OPTIONS -T "$tmp" 2>/dev/null | grep -c nosuid)" -ne 0 ]; then
	skip refuse_setuid "$tmp is mounted nosuid"
else
	cp /usr/bin/true "$tmp/setuid" && chown $nobody "$tmp/setuid" && chmod 4755 "$tmp/setuid"
	expect refuse_setuid 126 "^tract: $tmp/setuid gains privileges .*set-user-ID" \
	    "$tract" run "$tmp/setuid"
	cp /usr/bin/true "$tmp/setgid" && chgrp $nobody "$tmp/setgid" && chmod 2755 "$tmp/setgid"
	expect refuse_setgid 126 "^tract: $tmp/setgid gains privileges .*set-group-ID" \
	    "$tract" run "$tmp/setgid"
	cp /usr/bin/true "$tmp/own" && chmod 4755 "$tmp/own"
	expect run_own_setuid 0 '' "$tract" run "$tmp/own"
	if command -v setpriv >/dev/null; then
		# A copy of the build, since nobody may not be let into the build folder.
		mkdir "$tmp/build" "$tmp/build/bin" "$tmp/build/lib"
		cp "$tract" "$tmp/build/bin/" && cp "$library" "$tmp/build/lib/"
		expect run_no_new_privs 0 '' setpriv --no-new-privs "$tract" run "$tmp/setuid"
		if command -v setcap >/dev/null && cp /usr/bin/true "$tmp/caps" &&
		    setcap cap_net_raw+ep "$tmp/caps" 2>"$tmp/err"; then
			expect refuse_file_capabilities 126 "$tmp/caps gains .*file capabilities" \
			    as_nobody "$tmp/build/bin/tract" run "$tmp/caps"
			expect run_capabilities_as_root 0 '' "$tract" run "$tmp/caps"
		else
			skip refuse_file_capabilities 'no setcap'
		fi
		expect refuse_setuid_root 126 'own gains privileges .*set-user-ID' \
		    as_nobody "$tmp/build/bin/tract" run "$tmp/own"
	else
		skip refuse_file_capabilities 'no setpriv'
	fi
fi

# --- a library that is not there, or not one

mkdir "$tmp/alone" "$tmp/alone/bin" "$tmp/alone/lib"
cp "$tract" "$tmp/alone/bin/"
if "$tmp/alone/bin/tract" run true 2>/dev/null; then
	skip refuse_no_library 'one is installed'
else
	expect refuse_no_library 125 "cannot find the library; tried $tmp/alone/lib/libtract.so.1" \
	    "$tmp/alone/bin/tract" run true
	expect version_no_library 125 'cannot find the library' "$tmp/alone/bin/tract" version
fi
cp "$tmp/empty.c" "$tmp/alone/lib/libtract.so.1"
expect refuse_no_elf_library 126 'libtract.so.1 is not a shared library' \
    "$tmp/alone/bin/tract" run true
mkdir "$tmp/a b" && mv "$tmp/alone/bin" "$tmp/a b/bin" && mkdir "$tmp/a b/lib"
cp "$library" "$tmp/a b/lib/"
expect refuse_space_in_path 125 'a path with a space' "$tmp/a b/bin/tract" run true

# --- the summary

expect summary_status 3 'ended +exit status 3' "$tract" run --summary sh -c 'echo out; exit 3'
expect_output summary_not_on_stdout out
for row in '^--- tract: sh \(pid [0-9]+\)' 'wall time +[0-9.]+ s' 'CPU time +[0-9.]+ s' \
    'peak RSS +[0-9.]+ MiB'; do
	if grep -Eq "$row" "$tmp/err"; then
		ok "summary_row_${row%% *}"
	else
		not_ok summary_row "no line '$row'"
	fi
done
expect summary_signal 143 'ended +killed by signal 15' \
    "$tract" run --summary sh -c 'kill -TERM $$'
expect summary_of_the_killed 137 'not reported' "$tract" run --summary sh -c 'kill -9 $$'
# What the library would write, written by hand: the line of the right process is taken, the last
# one counts, and lines of others are only counted.
if [ -x /usr/bin/perl ]; then
	expect summary_figures 0 'allocated +1\.000 MiB  \(1048576 bytes\)' \
	    "$tract" run --summary /usr/bin/perl -e '
		open my $f, ">&=", $ENV{TRACT_SUMMARY_FD} or die;
		my $rest = "active=2 resident=3 retained=4\n";
		syswrite $f, "pid=1 allocated=7 $rest";
		syswrite $f, "pid=$$ allocated=9 $rest";
		syswrite $f, "pid=$$ allocated=1048576 $rest";
		require POSIX; POSIX::_exit(0);'
	if grep -q '^1 other process of the command' "$tmp/err"; then
		ok summary_counts_others
	else
		not_ok summary_counts_others 'no line about the other process'
	fi
else
	skip summary_figures 'no perl'
fi
if grep -q TRACT_SUMMARY_FD "$library"; then
	if [ -x /usr/bin/perl ]; then
		expect summary_from_the_library 0 'allocated +[56]\.[0-9]+ MiB' \
		    "$tract" run --summary /usr/bin/perl -e 'our $kept = "x" x (5 << 20);'
	fi
	# Closed, and its number used for a file of the program's own: the file stays as it is.
	if [ -x /usr/bin/perl ]; then
		expect summary_closed_descriptor 0 'not reported' "$tract" run --summary \
		    /usr/bin/perl -e '
			use POSIX ();
			open my $f, ">", $ARGV[0] or die;
			POSIX::dup2(fileno $f, $ENV{TRACT_SUMMARY_FD}) or die;' "$tmp/victim"
		if [ -s "$tmp/victim" ]; then
			not_ok summary_spares_other_files "$(cat "$tmp/victim")"
		else
			ok summary_spares_other_files
		fi
	fi
else
	skip summary_from_the_library 'this library does not report'
fi
# --- the report

expect report_unknown_form 125 "'--report=xml': a form is human, text, json or prometheus" \
    "$tract" run --report=xml true
if grep -q TRACT_REPORT "$library"; then
	# ls closes stderr as it exits.
	expect report_of_ls 0 '^___ Begin tract summary ___$' "$tract" run --report ls -d /
	expect_output report_not_on_stdout /
	expect report_adds_up 0 '^  = resident ' "$tract" run --report=human bash -c 'ls / >&2; ls -d /; :'
	expect report_status 3 '^--- End tract statistics ---$' \
	    "$tract" run --report=text bash -c 'exit 3'
	expect report_json 0 '^  "jemalloc": \{$' "$tract" run --report=json ls -d /
	expect report_prometheus 0 '^tract_allocated_bytes [0-9]+$' \
	    "$tract" run --report=prometheus ls -d /
	expect report_with_summary 0 '^--- tract: ls' "$tract" run --summary --report ls -d /
	if grep -q '^___ Begin tract summary' "$tmp/err"; then
		ok report_after_summary
	else
		not_ok report_after_summary 'no report'
	fi
	expect report_of_the_killed 137 'no report \(the process was killed' \
	    "$tract" run --report sh -c 'kill -9 $$'
	# Of the command alone, not of the programs it starts or its forked children.
	expect report_of_one_process 0 'Begin' "$tract" run --report bash -c '(:); ls -d /; :'
	if [ "$(grep -c '^___ Begin' "$tmp/err")" -eq 1 ]; then
		ok report_comes_once
	else
		not_ok report_comes_once "more than one"
	fi
	if [ -x /usr/bin/perl ]; then
		rm -f "$tmp/victim"
		expect report_closed_descriptor 0 'no report' "$tract" run --report /usr/bin/perl -e '
			use POSIX ();
			open my $f, ">", $ARGV[0] or die;
			$ENV{TRACT_REPORT} =~ /^(\d+):/ or die;
			POSIX::dup2(fileno $f, $1) or die;' "$tmp/victim"
		if [ -s "$tmp/victim" ]; then
			not_ok report_spares_other_files "$(cat "$tmp/victim")"
		else
			ok report_spares_other_files
		fi
	fi
else
	skip report 'this library does not report'
fi
# A signal sent to `tract' alone reaches the command.
"$tract" run --summary sh -c 'trap "exit 9" TERM; : >"$0"; while :; do sleep 0.1; done' \
    "$tmp/started" >"$tmp/out" 2>"$tmp/err" &
pid=$!
for _ in $(seq 150); do
	[ -e "$tmp/started" ] && break
	sleep 0.2
done
kill -TERM $pid
wait $pid
if [ $? -eq 9 ]; then ok summary_passes_signals_on; else not_ok summary_passes_signals_on status; fi

# --- version and help

expect help 0 '' "$tract" help
if grep -q '^usage: tract run' "$tmp/out"; then ok help_text; else not_ok help_text usage; fi
expect run_help 0 '' "$tract" run --help
expect version 0 '' "$tract" version
if [ "$(grep -Ec '^tract [0-9]|^library /|^library version .' "$tmp/out")" -eq 3 ]; then
	ok version_text
else
	not_ok version_text "printed: $(cat "$tmp/out")"
fi

echo "tool: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
